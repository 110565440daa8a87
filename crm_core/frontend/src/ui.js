// What plugins import as `crm/ui`: asking the server, telling the person, dialogs, behaviours of elements, keys.
// A plugin's module is a plain ES module; it may use everything exported here and nothing else of the core.

const wordsElement = document.getElementById("crm-words");
const words = wordsElement ? JSON.parse(wordsElement.textContent) : {};

/** Return a word of the page's language; `{n}` and the like are filled in. */
export function word(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_all, name) => values[name] ?? "");
}

/** The CSRF token of the page. */
export const csrf = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

const sprite = document.querySelector('meta[name="crm-icons"]')?.content ?? "";

/** Return an icon of the sprite as an element. */
export function icon(name, css = "icon") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", css);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${sprite}#${name}`);
  svg.append(use);
  return svg;
}

/** Make an element: `element("a", {class: "btn", href: "/"}, "text", other)`. Text is always text, never HTML. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null && child !== false));
  return made;
}

// --- behaviours ---------------------------------------------------------------------------------------------------

const behaviours = [];

/** Run `start(element)` once for every element that matches, now and whenever one comes into the page. */
export function behave(selector, start) {
  behaviours.push([selector, start, new WeakSet()]);
  wake(document);
}

/** Start the behaviours of new elements; called after every change of the page. */
export function wake(root) {
  for (const [selector, start, known] of behaviours) {
    const found = [...root.querySelectorAll(selector)];
    if (root.matches?.(selector)) found.unshift(root);
    for (const each of found) {
      if (known.has(each)) continue;
      known.add(each);
      start(each);
    }
  }
}

/** Handle an event for all present and future elements that match: `on("click", "[data-x]", (event, element) => ...)`. */
export function on(type, selector, handle) {
  document.addEventListener(type, (event) => {
    const found = event.target.closest?.(selector);
    if (found) handle(event, found);
  });
}

// --- the server ---------------------------------------------------------------------------------------------------

const bar = () => document.querySelector(".crm-bar");
let busy = 0;
export function working(delta) {
  busy = Math.max(0, busy + delta);
  bar()?.classList.toggle("is-on", busy > 0);
}

/** An answer that is not what was asked for; `message` is for the person. */
export class Refusal extends Error {
  constructor(response, message, body) {
    super(message);
    this.response = response;
    this.body = body;
  }
}

/**
 * Ask the server, with the CSRF token, as a part of a page. Returns {response, text, html(), moved}.
 * Answers of 422 and 409 are returned, for they are forms to look at; other errors are thrown as Refusal.
 */
export async function ask(href, { method = "GET", body = null, headers = {}, signal, json = false } = {}) {
  working(1);
  try {
    const wanted = { "HX-Request": "true", "HX-Request-Type": "partial", Accept: json ? "application/json" : "text/html", ...headers };
    if (method !== "GET") wanted["X-CSRF-Token"] = csrf();
    if (body && !(body instanceof FormData) && !(body instanceof URLSearchParams)) {
      body = JSON.stringify(body);
      wanted["Content-Type"] = "application/json";
    }
    let response;
    try {
      response = await fetch(href, { method, body, headers: wanted, signal, credentials: "same-origin" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(null, word("offline"));
    }
    hear(response.headers.get("HX-Trigger"));
    const text = await response.text();
    if (response.headers.get("HX-Redirect")) {
      location.assign(response.headers.get("HX-Redirect"));
      return new Promise(() => {});
    }
    if (!response.ok && ![409, 422].includes(response.status)) throw new Refusal(response, sentenceOf(text, response.status), text);
    const moved = response.redirected ? response.url : "";
    return { response, text, moved, html: () => parse(text), json: () => JSON.parse(text) };
  } finally {
    working(-1);
  }
}

/** Parse HTML without running anything in it. */
export function parse(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

function sentenceOf(text, status) {
  const told = parse(text).querySelector("[data-error-message]")?.textContent.trim();
  return told || word(status === 403 ? "forbidden" : status === 404 ? "gone" : "failed");
}

// The server tells more than the page it answers: HX-Trigger: {"crm:toast": {...}, "crm:changed": {...}}.
export function hear(header) {
  if (!header) return;
  let told;
  try {
    told = header.startsWith("{") ? JSON.parse(header) : Object.fromEntries(header.split(",").map((name) => [name.trim(), {}]));
  } catch {
    return;
  }
  for (const [name, detail] of Object.entries(told)) document.dispatchEvent(new CustomEvent(name, { detail }));
}

// --- telling ------------------------------------------------------------------------------------------------------

const toneIcon = { success: "circle-check", danger: "alert-circle", warning: "alert-triangle", info: "info-circle" };

/** Tell in a corner that something is done: toast("Saved", {tone, undo_href, href, href_title}). */
export function toast(text, { tone = "success", undo_href = "", href = "", href_title = "" } = {}) {
  const box = document.getElementById("toasts");
  if (!box) return null;
  const made = element("div", { class: `crm-toast is-${tone}`, role: tone === "danger" ? "alert" : "status" }, icon(toneIcon[tone] ?? "circle-check"), element("span", { class: "crm-toast-text" }, text));
  if (href) made.append(element("a", { href }, href_title || word("open")));
  if (undo_href) made.append(element("button", { type: "button", "data-undo": undo_href }, word("undo")));
  const close = element("button", { type: "button", class: "crm-toast-close", "aria-label": word("close") }, icon("x"));
  made.append(close);
  box.append(made);
  keepToast(made, undo_href || tone === "danger" ? 12000 : 6000);
  return made;
}

/** Let a toast go by itself, unless somebody looks at it. */
export function keepToast(made, time) {
  const box = document.getElementById("toasts");
  raiseToasts();
  let timer = setTimeout(go, time);
  function go() {
    made.remove();
    if (box.matches(":popover-open") && !box.childElementCount) box.hidePopover();
  }
  for (const type of ["mouseenter", "focusin"]) made.addEventListener(type, () => clearTimeout(timer));
  for (const type of ["mouseleave", "focusout"]) made.addEventListener(type, () => (timer = setTimeout(go, 4000)));
  made.querySelector(".crm-toast-close")?.addEventListener("click", go);
}

// Toasts stand above open dialogs only when they came into the top layer last.
export function raiseToasts() {
  const box = document.getElementById("toasts");
  if (!box?.showPopover || !box.childElementCount) return;
  if (box.matches(":popover-open")) box.hidePopover();
  box.showPopover();
}

/** Say something to those who hear the page. */
export function announce(text) {
  const box = document.getElementById("announcer");
  if (!box) return;
  box.textContent = "";
  setTimeout(() => (box.textContent = text), 50);
}

export function complain(error) {
  if (error?.name === "AbortError") return;
  toast(error?.message || word("failed"), { tone: "danger" });
}

// --- dialogs ------------------------------------------------------------------------------------------------------

/** Show a page in a dialog (`dialog`) or a side sheet (`side`); its forms are then sent from there. */
export async function openDialog(href, kind = "dialog", { title = "" } = {}) {
  const dialog = document.getElementById(kind === "side" ? "side-sheet" : "dialog");
  if (!dialog) return location.assign(href);
  try {
    const answer = await ask(href);
    fill(dialog, answer, href, title);
  } catch (error) {
    complain(error);
  }
  return dialog;
}

function fill(dialog, answer, href, title = "") {
  const page = answer.html();
  const main = page.querySelector("main") ?? page.body;
  const body = dialog.querySelector(".crm-dialog-body");
  const told = main.querySelector("h1");
  // A card keeps its own name beneath; of any other page the name moves into the dialog's head.
  const heading = (main.querySelector(".crm-card-head") ? page.title.split(" · ")[1] : told?.textContent.trim()) || page.title.split(" · ")[0] || title;
  body.replaceChildren(...main.childNodes);
  if (told && told.textContent.trim() === heading) {
    const head = told.closest(".crm-head");
    (head && !head.querySelector("p, .crm-head-actions") ? head : told).remove();
  }
  dialog.querySelector(".crm-dialog-head h2").textContent = heading;
  const whole = dialog.querySelector("[data-whole]");
  if (whole) {
    whole.href = href;
    whole.hidden = body.querySelector("form[data-dialog-only]") !== null;
  }
  dialog.dataset.href = href;
  dialog.classList.toggle("is-wide", body.querySelector(".is-wide-dialog") !== null);
  if (!dialog.open) {
    dialog.returnTo = document.activeElement;
    dialog.showModal();
  }
  refresh(body);
  const first = body.querySelector("[autofocus], .is-invalid, input:not([type=hidden], [type=checkbox]), select, textarea");
  (first ?? dialog.querySelector("[data-close]"))?.focus();
}

export function closeDialog(dialog) {
  dialog.close();
  dialog.querySelector(".crm-dialog-body")?.replaceChildren();
}

/** Wake behaviours and htmx in a part of the page that has just come. */
export function refresh(root) {
  window.htmx?.process(root);
  wake(root);
}

/** Send a form as a part of the page: errors come back into the dialog, success goes where the server says. */
export async function sendForm(form, submitter) {
  const dialog = form.closest("dialog");
  const href = submitter?.getAttribute("formaction") || form.action;
  const method = (submitter?.getAttribute("formmethod") || form.getAttribute("method") || "get").toUpperCase();
  const data = new FormData(form, submitter);
  const buttons = [...form.querySelectorAll('button:not([type="button"])')];
  buttons.forEach((button) => button.setAttribute("aria-busy", "true"));
  try {
    const body = method === "GET" ? null : form.enctype === "multipart/form-data" ? data : new URLSearchParams(data);
    const target = method === "GET" ? withQuery(href, data) : href;
    const answer = await ask(target, { method, body });
    form.dispatchEvent(new CustomEvent("crm:sent", { bubbles: true, detail: answer }));
    if (answer.response.status === 204 || answer.text.trim() === "") {
      if (dialog) closeDialog(dialog);
      await reloadMain();
    } else if (answer.moved && answer.response.ok) {
      if (dialog) closeDialog(dialog);
      await goTo(answer.moved);
    } else if (dialog) {
      fill(dialog, answer, dialog.dataset.href);
    }
  } catch (error) {
    complain(error);
  } finally {
    buttons.forEach((button) => button.removeAttribute("aria-busy"));
  }
}

export function withQuery(href, data) {
  const url = new URL(href, location.href);
  for (const key of new Set(data.keys())) url.searchParams.delete(key);
  for (const [key, value] of data) if (typeof value === "string" && value !== "") url.searchParams.append(key, value);
  return url.pathname + url.search;
}

/** Go to a page; where it is this one, only its content changes and the place on it is kept. */
export async function goTo(href) {
  const url = new URL(href, location.href);
  if (url.pathname === location.pathname && url.search === location.search) return reloadMain();
  location.assign(href);
}

/** Load the content of this page again, keeping the place and what is typed elsewhere. */
export async function reloadMain() {
  const answer = await ask(location.pathname + location.search, { headers: { "HX-Toasts": "1" } });
  const page = answer.html();
  const fresh = page.querySelector("main");
  const main = document.getElementById("main");
  if (!fresh || !main) return location.reload();
  if (window.htmx?.swap) {
    await window.htmx.swap({ text: fresh.innerHTML, target: main, swap: "innerMorph", sourceElement: main });
  } else {
    main.replaceChildren(...fresh.childNodes);
  }
  wake(main);
  document.dispatchEvent(new CustomEvent("crm:reloaded"));
  setTimeout(() => fillFrames(main), 60);
  const toasts = page.querySelectorAll("#new-toasts > *");
  if (toasts.length) {
    document.getElementById("toasts").append(...toasts);
    wake(document.getElementById("toasts"));
  }
}

// What is loaded after the page came back empty, and an element that stayed does not ask a second time by itself.
function fillFrames(root) {
  for (const frame of root.querySelectorAll("[data-frame][hx-get]")) {
    if (!frame.querySelector(".crm-skeleton") || frame.classList.contains("htmx-request")) continue;
    window.htmx?.ajax("GET", frame.getAttribute("hx-get"), { source: frame, target: frame, swap: frame.getAttribute("hx-swap") ?? "innerHTML" });
  }
}

/** Ask that a name be typed, for what cannot be undone. Resolves to true or false. */
export function confirmTyped({ title, text, name, button }) {
  const dialog = document.getElementById("confirm");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("[data-text]").textContent = text;
  dialog.querySelector("[data-name]").textContent = name;
  const input = dialog.querySelector("input");
  const go = dialog.querySelector("[data-go]");
  const prompt = dialog.querySelector("[data-typed]");
  prompt.hidden = !name;
  go.textContent = button || title;
  input.value = "";
  const check = () => (go.disabled = Boolean(name) && input.value.trim() !== name.trim());
  check();
  return new Promise((resolve) => {
    const stop = new AbortController();
    const end = (answer) => {
      stop.abort();
      dialog.close();
      resolve(answer);
    };
    input.addEventListener("input", check, { signal: stop.signal });
    input.addEventListener("keydown", (event) => event.key === "Enter" && (event.preventDefault(), go.disabled || end(true)), { signal: stop.signal });
    go.addEventListener("click", () => end(true), { signal: stop.signal });
    dialog.addEventListener("cancel", () => end(false), { signal: stop.signal });
    dialog.querySelectorAll("[data-no]").forEach((each) => each.addEventListener("click", () => end(false), { signal: stop.signal }));
    dialog.showModal();
    (name ? input : go).focus();
  });
}

// --- keys ---------------------------------------------------------------------------------------------------------

const keys = new Map();

/** Bind a key or a pair ("g d") outside of fields: key("m", "Move", (event) => ...). */
export function key(combination, handle) {
  keys.set(combination, handle);
}

let prefix = "";
let prefixTimer;
// Keys are told by their place, so that they work with a Russian layout too.
export function keyOf(event) {
  if (/^Key[A-Z]$/.test(event.code)) return event.code[3].toLowerCase();
  if (event.key === "?") return "?";
  if (event.code === "Slash" || event.code === "NumpadDivide") return event.shiftKey ? "?" : "/";
  return event.key;
}
export const isTyping = (target) => target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable=true], .ts-control, .fc") != null;

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]:not(#side-sheet), [popover]:popover-open:not(#toasts)")) return;
  const pressed = keyOf(event);
  const whole = prefix ? `${prefix} ${pressed}` : pressed;
  clearTimeout(prefixTimer);
  prefix = "";
  const handle = keys.get(whole);
  if (handle) {
    if (handle(event) !== false) event.preventDefault();
    return;
  }
  if ([...keys.keys()].some((each) => each.startsWith(whole + " "))) {
    prefix = whole;
    prefixTimer = setTimeout(() => (prefix = ""), 1200);
    event.preventDefault();
  }
});

// --- live ---------------------------------------------------------------------------------------------------------

const listeners = new Map();

/** Hear what happens meanwhile: live("deals.deal", (change) => ...); `*` hears everything. */
export function live(kind, hearer) {
  if (!listeners.has(kind)) listeners.set(kind, new Set());
  listeners.get(kind).add(hearer);
}

/** Tell the hearers of a change. */
export function tell(change) {
  for (const kind of [change.kind, "*"]) for (const hearer of listeners.get(kind) ?? []) hearer(change);
}

// --- heavy parts, loaded when first used ---------------------------------------------------------------------------

/** Make a list sortable by drag; options are those of SortableJS. */
export async function sortable(list, options = {}) {
  const { default: Sortable } = await import("sortablejs");
  return Sortable.create(list, { animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 120, ...options });
}

/** Draw a calendar; options are those of FullCalendar. */
export async function calendar(box, options = {}) {
  const { draw } = await import("./calendar.js");
  return draw(box, options);
}
