// Ctrl-K: go, find, do.
import { ask, csrf, element, key, keyOf, on, openDialog, wake, word } from "./ui.js";

const dialog = document.getElementById("palette");
let running;
let timer;
let stale = false;
let cached;

function lines() {
  return [...dialog.querySelectorAll(".crm-palette-item")];
}
function choose(line) {
  for (const each of lines()) each.setAttribute("aria-selected", String(each === line));
  const input = dialog.querySelector("input");
  if (line) {
    line.id ||= `p-${lines().indexOf(line)}`;
    input.setAttribute("aria-activedescendant", line.id);
    line.scrollIntoView({ block: "nearest" });
  } else input.removeAttribute("aria-activedescendant");
}
async function find() {
  const input = dialog.querySelector("input");
  const list = dialog.querySelector(".crm-palette-list");
  running?.abort();
  running = new AbortController();
  try {
    const query = input.value.trim();
    const answer = query === "" && cached ? cached : await ask(`${dialog.dataset.href}?q=${encodeURIComponent(query)}`, { signal: running.signal });
    if (query === "") cached = answer;
    const page = answer.html();
    if (query !== input.value.trim()) return;
    stale = false;
    list.replaceChildren(...(page.querySelector("main") ?? page.body).childNodes);
    wake(list);
    choose(lines()[0]);
    dialog.querySelector("[role=status]").textContent = lines().length ? word("found", { n: lines().length }) : word("nothing_found");
  } catch (error) {
    if (error.name !== "AbortError") list.textContent = error.message;
  }
}
export function openPalette() {
  if (!dialog || dialog.open) return;
  dialog.showModal();
  const input = dialog.querySelector("input");
  input.select();
  find();
}

// A command that changes something is a form: what stands in its address is sent as fields.
function post(href) {
  const url = new URL(href, location.href);
  const form = element("form", { method: "post", action: url.pathname, "data-native": "" });
  for (const [name, value] of [...url.searchParams, ["csrf_token", csrf()]]) form.append(element("input", { type: "hidden", name, value }));
  document.body.append(form);
  form.submit();
}

if (dialog) {
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && keyOf(event) === "k" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      if (dialog.open) dialog.close();
      else if (!document.querySelector("dialog[open]:modal:not(#side-sheet)")) openPalette();
    }
  });
  on("click", "[data-palette]", (event) => {
    event.preventDefault();
    openPalette();
  });
  dialog.querySelector("input").addEventListener("input", () => {
    clearTimeout(timer);
    stale = true;
    timer = setTimeout(find, 90);
  });
  dialog.addEventListener("keydown", async (event) => {
    // Whoever types fast and presses Enter means what he typed, not what stood there before.
    if (event.key === "Enter" && stale) {
      event.preventDefault();
      clearTimeout(timer);
      await find();
    }
    const all = lines();
    const present = all.findIndex((each) => each.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      choose(all[(present + (event.key === "ArrowDown" ? 1 : -1) + all.length) % all.length]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      const line = all[present];
      if (!line) return;
      if (event.ctrlKey || event.metaKey) window.open(line.href);
      else line.click();
    }
  });
  on("click", ".crm-palette-item", (event, line) => {
    dialog.close();
    if ("post" in line.dataset) {
      event.preventDefault();
      event.stopPropagation();
      return post(line.href);
    }
    if (line.dataset.show && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      event.stopPropagation();
      openDialog(line.href, line.dataset.show);
    }
  });
}
