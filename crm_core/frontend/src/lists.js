// Lists: selection, the bulk bar, arrows, the side sheet.
import { ask, behave, closeDialog, complain, element, isTyping, key, keyOf, on, openDialog, word } from "./ui.js";

const table = () => document.querySelector("main .crm-table");
const rows = () => [...(table()?.querySelectorAll("tbody tr[data-id]") ?? [])];
const boxes = (list) => [...list.querySelectorAll('tbody input[name="ids"]')];

function count(list) {
  const chosen = boxes(list).filter((box) => box.checked);
  const all = list.querySelector("[data-check-all]");
  if (all) {
    all.checked = chosen.length > 0 && chosen.length === boxes(list).length;
    all.indeterminate = chosen.length > 0 && !all.checked;
  }
  const bar = list.querySelector(".crm-bulk");
  if (!bar) return;
  bar.hidden = chosen.length === 0;
  const everything = list.querySelector('input[name="everything"]');
  if (everything && chosen.length < boxes(list).length) everything.checked = false;
  const text = bar.querySelector("[data-chosen]");
  if (text) text.textContent = everything?.checked ? everything.dataset.title : word("chosen", { n: chosen.length });
}
on("change", ".crm-list", (_event, list) => count(list));
on("change", "[data-check-all]", (_event, all) => {
  const list = all.closest(".crm-list");
  for (const box of boxes(list)) box.checked = all.checked;
  count(list);
});
behave(".crm-list .crm-table", (each) => count(each.closest(".crm-list")));
let last;
on("click", '.crm-table input[name="ids"]', (event, box) => {
  const all = boxes(box.closest(".crm-list"));
  if (event.shiftKey && last?.isConnected) {
    const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
    for (const each of all.slice(from, to + 1)) each.checked = box.checked;
    count(box.closest(".crm-list"));
  }
  last = box;
});
on("click", "[data-unselect]", (_event, button) => {
  const list = button.closest(".crm-list");
  for (const box of boxes(list)) box.checked = false;
  count(list);
});

// A bulk action opens its small form with the chosen ids, or with the filter when everything is meant.
on("click", "button[data-bulk]", (_event, button) => {
  const list = button.closest(".crm-list");
  const query = new URLSearchParams();
  if (list.querySelector('input[name="everything"]:checked')) {
    query.set("everything", "1");
    for (const [name, value] of new URLSearchParams(location.search)) query.append(name, value);
  } else for (const box of boxes(list)) if (box.checked) query.append("ids", box.value);
  openDialog(`${button.dataset.bulk}?${query}`, "dialog", { title: button.textContent.trim() });
});

// --- arrows --------------------------------------------------------------------------------------------------------

const current = () => rows().find((row) => row.classList.contains("is-current"));
function step(by) {
  const all = rows();
  if (!all.length) return false;
  const at = all.indexOf(current());
  const next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + by))];
  for (const row of all) row.classList.toggle("is-current", row === next);
  next.querySelector(".crm-first")?.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  const sheet = document.getElementById("side-sheet");
  if (sheet?.open) look(next);
}
async function look(row) {
  if (row?.dataset.side) await openDialog(row.dataset.side, "side");
}
key("j", () => step(1));
key("k", () => step(-1));
key("ArrowDown", () => step(1));
key("ArrowUp", () => step(-1));
key("x", () => current()?.querySelector('input[name="ids"]')?.click() ?? false);
key("e", () => {
  const row = current();
  const first = document.querySelector("main .crm-card .crm-edit, main a[data-edit-page]");
  if (row?.dataset.edit) location.assign(row.dataset.edit);
  else if (first) first.click();
  else return false;
});
// What can be done with the row one stands on: its buttons say by which key.
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]:not(#side-sheet)")) return;
  const row = current() ?? event.target.closest?.("tr[data-id], li[data-id]") ?? document.activeElement?.closest?.("[data-id]");
  const button = row && [...row.querySelectorAll("[data-row-key]")].find((each) => each.dataset.rowKey === keyOf(event));
  if (!button) return;
  event.preventDefault();
  button.click();
});
key(" ", () => {
  if (!current()) return false;
  look(current());
});
key("ArrowRight", () => {
  if (!current()) return false;
  look(current());
});
key("ArrowLeft", () => {
  const sheet = document.getElementById("side-sheet");
  if (!sheet?.open) return false;
  closeDialog(sheet);
});
document.getElementById("side-sheet")?.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, .ts-control")) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    step(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "ArrowLeft") closeDialog(event.currentTarget);
});
// The whole row is a target for the mouse: a click beside the links opens the side sheet.
on("click", ".crm-table tbody tr[data-id]", (event, row) => {
  if (event.target.closest("a, button, input, label, summary") || getSelection().toString()) return;
  for (const each of rows()) each.classList.toggle("is-current", each === row);
  if (row.dataset.side && innerWidth >= 768) look(row);
  else row.querySelector(".crm-first")?.click();
});

// --- columns: the order is dragged or moved by buttons ---------------------------------------------------------------

behave("[data-sortable]", async (list) => {
  const { sortable } = await import("./ui.js");
  sortable(list, { handle: "[data-handle]", draggable: "[data-item]" });
});
on("click", "[data-move]", (_event, button) => {
  const item = button.closest("[data-item]");
  if (button.dataset.move === "up") item.previousElementSibling?.before(item);
  else item.nextElementSibling?.after(item);
  button.focus();
});

function askCount(place) {
  if (!place.dataset.count) return;
  ask(place.dataset.count).then((answer) => place.replaceChildren(answer.html().body.textContent.trim()), () => place.replaceChildren());
}
behave("[data-count]", askCount);
// A list that was taken in anew keeps its elements: what is counted in them is counted again.
for (const type of ["htmx:after:swap", "crm:reloaded"])
  document.addEventListener(type, () => {
    for (const place of document.querySelectorAll("[data-count]")) if (!place.textContent.trim()) askCount(place);
    for (const list of document.querySelectorAll(".crm-list")) count(list);
  });
export { complain, element };
