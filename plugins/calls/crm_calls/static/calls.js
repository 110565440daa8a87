// Calls that ring at one's own line, shown on every page; numbers that dial by a click; recordings that play in place.
import { announce, ask, behave, complain, element, live, on, refresh } from "crm/ui";

const KEY = "crm.calls";
const QUICK = 3000;
const OFTEN = 15000;

// --- what is known of the person's line, kept for some minutes so that a page need not ask first ---------------------

function kept() {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    return found && Date.now() - found.at < 300000 ? found : null;
  } catch {
    return null;
  }
}

function keep(state) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ ...state, at: Date.now() }));
  } catch { /* asked again on the next page */ }
}

function dismissed() {
  try {
    return new Set(JSON.parse(sessionStorage.getItem(`${KEY}.away`) ?? "[]"));
  } catch {
    return new Set();
  }
}

function dismiss(card) {
  const away = dismissed();
  away.add(mark(card));
  try {
    sessionStorage.setItem(`${KEY}.away`, JSON.stringify([...away].slice(-50)));
  } catch { /* it comes back on the next page */ }
  card.remove();
  shut();
}

const mark = (card) => `${card.dataset.call}:${card.dataset.status}`;

// --- the calls that go on ----------------------------------------------------------------------------------------------

let box;
let said = "";
let busy = false;

function place() {
  if (box?.isConnected) return box;
  box = element("div", { class: "calls-box", popover: "manual", id: "calls", "aria-live": "off" });
  document.body.append(box);
  return box;
}

function shut() {
  if (box?.matches(":popover-open") && !box.querySelector(".calls-card")) box.hidePopover();
}

function show(section) {
  const away = dismissed();
  for (const card of [...section.querySelectorAll(".calls-card")]) if (away.has(mark(card))) card.remove();
  const cards = [...section.querySelectorAll(".calls-card")];
  const text = cards.map((card) => card.outerHTML).join("");
  if (text === said) return;
  const focused = box?.contains(document.activeElement) ? document.activeElement.closest(".calls-card")?.dataset.call : null;
  const known = new Set(said ? [...place().querySelectorAll(".calls-card")].map(mark) : []);
  said = text;
  if (!cards.length) {
    box?.replaceChildren();
    return shut();
  }
  place().replaceChildren(section);
  if (!box.matches(":popover-open")) box.showPopover();
  refresh(box);
  if (focused) box.querySelector(`[data-call="${focused}"] a, [data-call="${focused}"] button`)?.focus();
  // Heard at once, and never taken the place where somebody types.
  for (const card of cards) if (!known.has(mark(card)) && card.dataset.status === "ringing") announce(`${card.getAttribute("aria-label")}, ${card.querySelector(".calls-text > span")?.textContent ?? ""}`);
}

async function look() {
  if (busy) return;
  busy = true;
  try {
    const answer = await fetch("/calls/present", { headers: { "HX-Request": "true", "HX-Request-Type": "partial" }, credentials: "same-origin" });
    // An answer that nobody reads keeps its connection.
    const text = await answer.text();
    if (!answer.ok || answer.status === 204) return keep({ line: "", dials: false, off: true });
    const section = new DOMParser().parseFromString(text, "text/html").querySelector(".calls-present");
    if (!section) return;
    keep({ line: section.dataset.line, dials: section.dataset.dials === "1" });
    show(section);
  } catch { /* away for a moment */ } finally {
    busy = false;
  }
}

if (document.querySelector('meta[name="crm-live"]')) {
  const begin = kept();
  if (!begin || (begin.line && !begin.off)) look();
  live("calls.call", () => look());
  const beat = async () => {
    const state = kept();
    if (document.visibilityState === "visible" && (!state || state.line)) await look();
    setTimeout(beat, kept()?.line ? QUICK : OFTEN);
  };
  setTimeout(beat, begin?.line ? QUICK : OFTEN);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && kept()?.line && look());
}

on("click", ".calls-card [data-dismiss]", (_event, button) => dismiss(button.closest(".calls-card")));
on("click", ".calls-card a", (_event, link) => link.dataset.open && dismiss(link.closest(".calls-card")));
on("keydown", ".calls-card", (event, card) => {
  if (event.key !== "Escape") return;
  event.stopPropagation();
  dismiss(card);
});

// --- a click on a number -------------------------------------------------------------------------------------------------

on("click", 'a[href^="tel:"]', async (event, link) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button || !kept()?.dials) return;
  event.preventDefault();
  link.setAttribute("aria-busy", "true");
  try {
    await ask("/calls/dial", { method: "POST", body: new URLSearchParams({ number: link.getAttribute("href").slice(4) }) });
    look();
  } catch (error) {
    complain(error);
  } finally {
    link.removeAttribute("aria-busy");
  }
});

// --- recordings in a timeline --------------------------------------------------------------------------------------------

behave('.crm-event a[href^="/calls/"][href$="/recording"]', (link) => {
  const player = element("audio", { class: "calls-player", controls: true, preload: "none", src: link.getAttribute("href"), "aria-label": link.textContent.trim() });
  link.closest("li")?.after(element("li", {}, player));
});
