// The shell's own behaviours. Everything here only eases what plain links and forms do already.
import htmx from "htmx.org";
import "./palette.js";
import "./lists.js";
import "./board.js";
import "./cards.js";
import "./fields.js";
import "./home.js";
import "./mentions.js";
import {
  announce, ask, behave, closeDialog, complain, confirmTyped, csrf, goTo, hear, icon, isTyping, keepToast, key, keyOf, on, openDialog, refresh,
  reloadMain, sendForm, tell, toast, wake, word, working,
} from "./ui.js";

window.htmx = htmx;
document.documentElement.classList.add("crm-js");

// --- htmx ----------------------------------------------------------------------------------------------------------

document.addEventListener("htmx:config:request", (event) => {
  const { request } = event.detail.ctx;
  if (request.method !== "GET") request.headers["X-CSRF-Token"] = csrf();
});
document.addEventListener("htmx:before:request", (event) => {
  const { ctx } = event.detail;
  if (ctx.target !== document.body) ctx.request.headers["HX-Request-Type"] = "partial";
  working(1);
});
document.addEventListener("htmx:finally:request", () => working(-1));
document.addEventListener("htmx:before:response", (event) => hear(event.detail.ctx.hx?.trigger && takeTrigger(event.detail.ctx)));
// Our own reader of HX-Trigger dispatches on the document; htmx would do it a second time.
function takeTrigger(ctx) {
  const told = ctx.hx.trigger;
  delete ctx.hx.trigger;
  return told;
}
document.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  const status = ctx.response?.status ?? 200;
  if (status < 400 || status === 422 || status === 409) return;
  event.preventDefault();
  const said = new DOMParser().parseFromString(ctx.text ?? "", "text/html").querySelector("[data-error-message]")?.textContent.trim();
  const frame = ctx.sourceElement?.closest?.("[data-frame]");
  if (frame) frame.replaceChildren(Object.assign(document.createElement("p"), { className: "crm-muted", textContent: said || word("frame_failed") }));
  else toast(said || word(status === 404 ? "gone" : status === 403 ? "forbidden" : "failed"), { tone: "danger" });
});
document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx && !event.detail.ctx.response) toast(word("offline"), { tone: "danger" });
});
document.addEventListener("htmx:after:swap", (event) => wake(event.detail.ctx?.target?.isConnected ? event.detail.ctx.target : document));
document.addEventListener("htmx:after:process", (event) => wake(event.target));

// Links that load a part of this page: <a data-into="#list" href="...">; without scripts they load the page.
on("click", "a[data-into]", (event, link) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  shutMenus();
  into(link.dataset.into, link.href, !("quiet" in link.dataset));
});
on("submit", "form[data-into]", (event, form) => {
  event.preventDefault();
  shutMenus();
  const url = new URL(form.action, location.href);
  const data = new FormData(form, event.submitter);
  url.search = new URLSearchParams([...data].filter(([, value]) => value !== "")).toString();
  into(form.dataset.into, url.href, true);
});
// A menu may have been opened from another one.
function shutMenus() {
  for (const menu of document.querySelectorAll(".crm-menu:popover-open")) menu.hidePopover();
}
export async function into(selector, href, push) {
  const target = document.querySelector(selector);
  if (!target) return location.assign(href);
  target.classList.add("htmx-request");
  try {
    await htmx.ajax("GET", href, { target: selector, select: selector, swap: "outerMorph", push: push ? "true" : "false" });
  } finally {
    document.querySelector(selector)?.classList.remove("htmx-request");
  }
}
let searching;
on("input", "form[data-into] input[type=search]", (_event, input) => {
  clearTimeout(searching);
  searching = setTimeout(() => input.form.requestSubmit(), 220);
});

// --- menus ---------------------------------------------------------------------------------------------------------

document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!menu.matches?.(".crm-menu")) return;
  const opener = document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);
  opener?.setAttribute("aria-expanded", String(event.newState === "open"));
  if (event.newState !== "open" || !opener) return;
  place(menu, opener);
  menu.querySelector("[autofocus]")?.focus();
}, true);

function place(menu, opener) {
  const at = opener.getBoundingClientRect();
  const box = menu.getBoundingClientRect();
  const gap = 4;
  const right = at.left + box.width > innerWidth - 8;
  const left = right ? Math.max(8, at.right - box.width) : Math.max(8, at.left);
  const above = at.bottom + gap + box.height > innerHeight - 8 && at.top > innerHeight / 2;
  menu.style.left = `${left}px`;
  menu.style.top = above ? `${Math.max(8, at.top - gap - box.height)}px` : `${at.bottom + gap}px`;
}
on("keydown", ".crm-menu", (event, menu) => {
  if (!["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key) || isTyping(event.target)) return;
  const items = [...menu.querySelectorAll("a, button, input")].filter((each) => each.offsetParent);
  const present = items.indexOf(document.activeElement);
  const next = { ArrowDown: present + 1, ArrowUp: present - 1, Home: 0, End: items.length - 1 }[event.key];
  items[(next + items.length) % items.length]?.focus();
  event.preventDefault();
});
on("keydown", "[popovertarget]", (event, opener) => {
  if (event.key !== "ArrowDown") return;
  const menu = document.getElementById(opener.getAttribute("popovertarget"));
  if (!menu) return;
  event.preventDefault();
  if (!menu.matches(":popover-open")) menu.showPopover();
  menu.querySelector("a, button, input")?.focus();
});
// A menu whose content is asked for when it is first opened.
document.addEventListener("beforetoggle", (event) => {
  const menu = event.target;
  if (event.newState !== "open" || !menu.dataset?.fetch) return;
  const href = menu.dataset.fetch;
  if (!("always" in menu.dataset)) delete menu.dataset.fetch;
  ask(href).then((answer) => {
    const page = answer.html();
    menu.replaceChildren(...(page.querySelector("main") ?? page.body).childNodes);
    refresh(menu);
    const opener = document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);
    if (opener) place(menu, opener);
    menu.querySelector("[autofocus], select, input, a, button")?.focus();
  }, complain);
}, true);

// --- dialogs -------------------------------------------------------------------------------------------------------

on("click", "a[data-open]", (event, link) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  link.closest("[popover]")?.hidePopover();
  openDialog(link.href, link.dataset.open, { title: link.textContent.trim() });
});
on("click", "[data-close]", (_event, button) => closeDialog(button.closest("dialog")));
on("click", "dialog .crm-form-foot a[data-cancel]", (event, link) => {
  event.preventDefault();
  closeDialog(link.closest("dialog"));
});
document.addEventListener("click", (event) => {
  if (!(event.target instanceof HTMLDialogElement) || event.target.id === "confirm") return;
  const box = event.target.getBoundingClientRect();
  const outside = event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
  // Something typed is not lost by a click beside the dialog.
  if (outside && !event.target.querySelector("form[data-dirty]")) event.target.close();
});
on("click", "[data-dialog]", (_event, button) => {
  button.closest("[popover]")?.hidePopover();
  document.getElementById(button.dataset.dialog)?.showModal();
});
on("input", "dialog form", (_event, form) => (form.dataset.dirty = "1"));

on("submit", "form", async (event, form) => {
  if (event.defaultPrevented || "native" in form.dataset) return;
  const submitter = event.submitter;
  const asked = submitter?.dataset.confirm ?? form.dataset.confirm;
  if (asked !== undefined && !form.confirmed) {
    event.preventDefault();
    const answer = await confirmTyped({
      title: submitter?.dataset.confirmTitle ?? form.dataset.confirmTitle ?? submitter?.textContent.trim() ?? "",
      text: submitter?.dataset.confirmText ?? form.dataset.confirmText ?? "",
      name: asked,
      button: submitter?.textContent.trim(),
    });
    if (!answer) return;
    form.confirmed = true;
    form.requestSubmit(submitter);
    form.confirmed = false;
    return;
  }
  if (form.closest("dialog") || "part" in form.dataset) {
    event.preventDefault();
    form.closest("[popover]")?.hidePopover();
    await sendForm(form, submitter);
  } else if (form.method === "post") {
    // One click sends once.
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 4000);
  }
});

// --- toasts --------------------------------------------------------------------------------------------------------

document.addEventListener("crm:toast", (event) => toast(event.detail.text, event.detail));
document.addEventListener("crm:reload", () => reloadMain().catch(complain));
behave("#toasts > .crm-toast", (each) => keepToast(each, each.querySelector("[data-undo]") ? 12000 : 6000));
const undo = async (href) => {
  try {
    const answer = await ask(href, { method: "POST", body: new URLSearchParams() });
    if (!answer.response.headers.get("HX-Trigger")?.includes("crm:toast")) toast(word("undone"), { tone: "info" });
    if (answer.moved && new URL(answer.moved).pathname !== new URL(href, location.href).pathname) await goTo(answer.moved);
    else await reloadMain();
  } catch (error) {
    complain(error);
  }
};
on("click", "[data-undo]", (event, button) => {
  event.preventDefault();
  button.closest(".crm-toast")?.remove();
  undo(button.dataset.undo);
});
key("u", () => {
  const last = [...document.querySelectorAll("#toasts [data-undo]")].at(-1);
  if (!last) return announce(word("nothing_to_undo"));
  last.click();
});

// --- the menu at the left, light and dark ---------------------------------------------------------------------------

on("click", "[data-fold]", (_event, button) => {
  const root = document.documentElement;
  const narrow = root.dataset.side !== "narrow";
  if (narrow) root.dataset.side = "narrow";
  else delete root.dataset.side;
  try {
    localStorage.setItem("crm.side", narrow ? "narrow" : "wide");
  } catch { /* the choice then lasts for this page */ }
  button.setAttribute("aria-expanded", String(!narrow));
});
behave("[data-fold]", (button) => button.setAttribute("aria-expanded", String(document.documentElement.dataset.side !== "narrow")));
// Tooltips of the narrow menu come from the words themselves.
on("mouseover", ".crm-side .crm-nav-link", (_event, link) => {
  if (document.documentElement.dataset.side === "narrow") link.title = link.innerText.trim() || link.textContent.trim();
  else link.removeAttribute("title");
});
behave(".crm-nav details[id]", (group) => {
  try {
    if (localStorage.getItem(`crm.${group.id}`) === "shut" && !group.querySelector("[aria-current]")) group.open = false;
    group.addEventListener("toggle", () => localStorage.setItem(`crm.${group.id}`, group.open ? "open" : "shut"));
  } catch { /* as it came */ }
});
on("click", "button[data-mode]", async (event, button) => {
  if (!button.form) return;
  event.preventDefault();
  document.documentElement.dataset.mode = button.value;
  document.dispatchEvent(new Event("crm:mode"));
  for (const each of button.parentElement.querySelectorAll("button[data-mode]")) each.setAttribute("aria-pressed", String(each === button));
  try {
    await ask(button.form.action, { method: "POST", body: new URLSearchParams(new FormData(button.form, button)) });
  } catch (error) {
    complain(error);
  }
});

// --- keys ----------------------------------------------------------------------------------------------------------

key("?", () => document.getElementById("keys")?.showModal());
key("c", () => document.querySelector('[popovertarget="create-menu"], [data-key="c"]')?.click());
key("/", () => {
  const field = document.querySelector("main input[type=search]");
  if (!field) return false;
  field.focus();
  field.select();
});
behave("[data-go]", (link) => link.dataset.go && link.href && key(`g ${link.dataset.go}`, () => location.assign(link.href)));
behave("a[data-key], button[data-key]", (button) => button.dataset.key !== "c" && key(button.dataset.key, () => button.isConnected && button.click()));

// --- jobs, live ----------------------------------------------------------------------------------------------------

const pulse = document.querySelector('meta[name="crm-live"]');
if (pulse?.content) {
  let since = pulse.dataset.since ?? "";
  let wait = 8000;
  const beat = async () => {
    if (document.visibilityState === "visible") {
      try {
        const response = await fetch(`${pulse.content}?since=${encodeURIComponent(since)}`, { headers: { "HX-Request": "true", Accept: "application/json" } });
        if (response.status === 401 || response.status === 403) return;
        if (response.ok) {
          const told = await response.json();
          since = told.since ?? since;
          wait = (told.wait ?? 8) * 1000;
          show(told);
        }
      } catch {
        wait = Math.min(wait * 2, 60000);
      }
    }
    setTimeout(beat, wait);
  };
  setTimeout(beat, wait);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") wait = Math.min(wait, 8000);
  });
}
// The same words, told at once by an answer to something the person did.
document.addEventListener("crm:live", (event) => show(event.detail));
function show(told) {
  if ("unread" in told) {
    for (const count of document.querySelectorAll("[data-unread]")) {
      count.textContent = told.unread > 99 ? "99+" : told.unread || "";
      count.hidden = !told.unread;
    }
  }
  if ("jobs" in told) {
    for (const ring of document.querySelectorAll("[data-jobs]")) {
      ring.hidden = !told.jobs.length;
      const text = ring.querySelector("span");
      if (text && told.jobs.length) text.textContent = told.jobs.length === 1 ? `${told.jobs[0].title}${told.jobs[0].percent == null ? "" : ` ${told.jobs[0].percent} %`}` : String(told.jobs.length);
    }
  }
  for (const each of told.toasts ?? []) toast(each.text, each);
  for (const change of told.changes ?? []) tell(change);
}

on("click", "[data-copy]", async (_event, button) => {
  await navigator.clipboard.writeText(button.dataset.copy);
  toast(word("copied"));
});
on("click", "[data-print]", () => print());
// The browser's own Escape closes a dialog; what was typed into its form asks for a second one.
document.addEventListener("cancel", (event) => {
  const form = event.target.querySelector?.("form[data-dirty]");
  if (!form || event.target.warned) return;
  event.preventDefault();
  event.target.warned = true;
  setTimeout(() => (event.target.warned = false), 3000);
  toast(word("typed"), { tone: "info" });
}, true);

wake(document);
export { icon, keyOf };
