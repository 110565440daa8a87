// Mentions: typing @ in a long text offers colleagues. People read "@Name"; what is posted is `@[Name](user:7)`.
import { ask, behave, element, word } from "./ui.js";

const TOKEN = /@\[([^\[\]()\n]{1,150})\]\(user:(\d{1,18})\)/g;
const TYPED = /(?:^|[\s(«"])@([\p{L}\p{N}.\-]*(?: [\p{L}\p{N}.\-]*)?)$/u;

// Names outlive the page, for a draft that is taken up again knows only what was read.
const KEPT = "crm.mentions";
const known = new Map();
try {
  for (const [name, id] of JSON.parse(localStorage.getItem(KEPT) ?? "[]")) known.set(name, id);
} catch { /* then only what is chosen on this page */ }
function know(name, id) {
  known.delete(name);
  known.set(name, id);
  try {
    localStorage.setItem(KEPT, JSON.stringify([...known].slice(-100)));
  } catch { /* as above */ }
}

behave("textarea[data-mentions]", (area) => {
  const list = element("ul", { class: "crm-mentions", role: "listbox", popover: "manual", id: `${area.id || area.name}-mentions`, "aria-label": word("mentions") });
  area.after(list);
  area.setAttribute("aria-autocomplete", "list");
  area.setAttribute("aria-controls", list.id);
  let begin = -1;
  let chosen = 0;
  let asked = 0;
  let timer;

  const read = () => {
    if (!area.value.includes("@[")) return;
    area.value = area.value.replace(TOKEN, (_all, name, id) => {
      know(name, id);
      return `@${name}`;
    });
    area.defaultValue = area.value;
  };
  read();
  area.addEventListener("focus", read);
  // Longer names first: "Anna Petrova" is not "Anna".
  const written = (text) => {
    const names = [...known.keys()].sort((a, b) => b.length - a.length);
    if (!names.length) return text;
    const any = new RegExp(`@(${names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})(?![\\p{L}\\p{N}])`, "gu");
    return text.replace(any, (_all, name) => `@[${name}](user:${known.get(name)})`);
  };
  area.form?.addEventListener("formdata", (event) => {
    if (area.name && event.formData.has(area.name)) event.formData.set(area.name, written(area.value));
  });

  const options = () => [...list.children];
  const shut = () => {
    begin = -1;
    asked += 1;
    clearTimeout(timer);
    if (list.matches(":popover-open")) list.hidePopover();
    list.replaceChildren();
    area.removeAttribute("aria-activedescendant");
  };
  const mark = (place) => {
    const all = options();
    chosen = (place + all.length) % all.length;
    all.forEach((each, index) => each.setAttribute("aria-selected", String(index === chosen)));
    all[chosen].scrollIntoView({ block: "nearest" });
    area.setAttribute("aria-activedescendant", all[chosen].id);
  };
  const take = (option) => {
    const name = option.dataset.name;
    know(name, option.dataset.id);
    area.setRangeText(`@${name} `, begin, area.selectionEnd, "end");
    shut();
    area.focus();
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const offer = async (query) => {
    const mine = ++asked;
    let items = [];
    try {
      items = (await ask(`${area.dataset.mentions}?q=${encodeURIComponent(query)}`, { json: true })).json().items;
    } catch {
      return shut();
    }
    if (mine !== asked || begin < 0) return;
    if (!items.length) return shut();
    list.replaceChildren(...items.slice(0, 8).map((item, index) => {
      const name = item.title.replace(/[[\]()\n]+/g, " ").trim();
      const option = element("li", { role: "option", id: `${list.id}-${index}`, "data-name": name, "data-id": item.value }, element("span", {}, name), item.hint ? element("small", {}, item.hint) : null);
      option.addEventListener("mousedown", (event) => {
        event.preventDefault();
        take(option);
      });
      return option;
    }));
    if (!list.matches(":popover-open")) list.showPopover();
    const box = area.getBoundingClientRect();
    const below = box.bottom + list.offsetHeight + 4 < innerHeight;
    list.style.left = `${Math.max(8, Math.min(box.left, innerWidth - list.offsetWidth - 8))}px`;
    list.style.top = below ? `${box.bottom + 4}px` : `${Math.max(8, box.top - list.offsetHeight - 4)}px`;
    mark(0);
  };

  area.addEventListener("input", () => {
    const found = TYPED.exec(area.value.slice(0, area.selectionStart));
    const already = found?.[1].endsWith(" ") && known.has(found[1].trim());
    if (!found || already) return shut();
    begin = area.selectionStart - found[1].length - 1;
    clearTimeout(timer);
    timer = setTimeout(() => offer(found[1]), 140);
  });
  area.addEventListener("keydown", (event) => {
    if (!list.matches(":popover-open")) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") mark(chosen + (event.key === "ArrowDown" ? 1 : -1));
    else if ((event.key === "Enter" && !event.ctrlKey && !event.metaKey) || event.key === "Tab") take(options()[chosen]);
    else if (event.key === "Escape") shut();
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  area.addEventListener("blur", () => setTimeout(shut, 120));
});
