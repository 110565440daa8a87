// The table of a deal's lines, and the editor of stages: rows come and go, the server counts.
import { ask, behave, complain, on, refresh } from "crm/ui";

const rowsOf = (form) => form.querySelector("[data-rows]");

function addRow(form, prefix) {
  const blank = form.querySelector("template[data-blank]");
  const next = form.dataset.next ?? String(Date.now() % 100000);
  form.dataset.next = String(Number(next) + 1);
  const holder = document.createElement("template");
  holder.innerHTML = blank.innerHTML.replaceAll(prefix, prefix.replace("0000", next));
  const row = holder.content.firstElementChild;
  for (const late of row.querySelectorAll("[data-late-picker]")) {
    late.removeAttribute("data-late-picker");
    late.setAttribute("data-picker", "");
  }
  rowsOf(form).append(row);
  refresh(row);
  return row;
}

// --- lines --------------------------------------------------------------------------------------------------------

const waiting = new WeakMap();

function count(form) {
  clearTimeout(waiting.get(form));
  waiting.set(form, setTimeout(() => countNow(form).catch(complain), 250));
}

async function countNow(form) {
  const answer = await ask(form.dataset.countHref, { method: "POST", body: new URLSearchParams(new FormData(form)), json: true });
  const sums = answer.json();
  for (const row of form.querySelectorAll("[data-line]")) row.querySelector("[data-total]").textContent = sums.lines[row.dataset.line] ?? "";
  for (const place of form.querySelectorAll("[data-sum]")) place.textContent = sums[place.dataset.sum] ?? "";
  const percent = form.querySelector('[data-sum="discount"]');
  if (sums.discount) percent.textContent = `${sums.discount} (${sums.percent} %)`;
}

async function takeProduct(form, row, number) {
  const found = (await ask(`${form.dataset.productHref}${number}`, { json: true })).json();
  const set = (name, value) => {
    const control = row.querySelector(`[name$="-${name}"]`);
    if (control && value) control.value = value;
  };
  set("price", found.price);
  set("unit", found.unit);
  set("vat_code", found.vat_code);
  const quantity = row.querySelector('[name$="-quantity"]');
  if (!quantity.value) quantity.value = "1";
}

behave("form[data-lines]", (form) => {
  form.addEventListener("input", () => count(form));
  form.addEventListener("change", async (event) => {
    const row = event.target.closest("[data-line]");
    if (row && event.target.name?.endsWith("-item") && /^\d+$/.test(event.target.value)) await takeProduct(form, row, event.target.value).catch(complain);
    count(form);
  });
});
on("click", "form[data-lines] [data-add-line]", (_event, button) => {
  const row = addRow(button.form, "0000");
  row.querySelector("input, select")?.focus();
});
on("click", "form[data-lines] [data-remove-line]", (_event, button) => {
  const form = button.form;
  button.closest("[data-line]").remove();
  form.dataset.dirty = "1";
  count(form);
});

// --- settings -----------------------------------------------------------------------------------------------------

on("click", "form[data-stages] [data-add-stage]", (_event, button) => {
  addRow(button.form, "new0000").querySelector('[name$="-name"]')?.focus();
});
on("click", "[data-remove-item]", (_event, button) => button.closest("[data-item]").remove());

// --- the card -----------------------------------------------------------------------------------------------------

// On a narrow screen the bar of stages begins where the deal is.
behave(".crm-way [aria-current]", (here) => {
  const bar = here.closest(".crm-way");
  bar.scrollLeft = here.parentElement.offsetLeft - bar.clientWidth / 3;
});
