// Cards: fields edited in place, tabs on a phone, the composer.
import { ask, behave, complain, element, live, on, refresh, reloadMain, toast, word } from "./ui.js";

// --- edited in place: Enter saves, Esc leaves, Tab goes on -----------------------------------------------------------

async function edit(button) {
  const place = button.closest("[data-field]");
  if (place.querySelector("form")) return;
  try {
    const answer = await ask(button.dataset.edit);
    const page = answer.html();
    const form = page.querySelector("form");
    if (!form) return;
    place.kept = [...place.childNodes];
    place.replaceChildren(form);
    form.dataset.inplace = "1";
    refresh(form);
    const control = form.querySelector("input:not([type=hidden]), select, textarea");
    (form.querySelector(".ts-control input") ?? control)?.focus();
    if (control?.select && control.type !== "checkbox") control.select();
    if (control?.tomselect) setTimeout(() => control.tomselect.focus(), 60);
  } catch (error) {
    complain(error);
  }
}
function leave(place, focus = true) {
  if (!place.kept) return;
  place.replaceChildren(...place.kept);
  place.kept = null;
  if (focus) place.querySelector(".crm-edit")?.focus();
}
async function save(form, then) {
  const place = form.closest("[data-field]");
  if (form.dataset.saving) return;
  form.dataset.saving = "1";
  try {
    const body = form.enctype === "multipart/form-data" ? new FormData(form) : new URLSearchParams(new FormData(form));
    const answer = await ask(form.action, { method: "POST", body });
    const page = answer.html();
    const next = page.querySelector("form");
    if (answer.response.status === 409) {
      conflict(page, place);
    } else if (answer.response.status === 422 && next) {
      place.replaceChildren(next);
      next.dataset.inplace = "1";
      refresh(next);
      next.querySelector(".is-invalid, input:not([type=hidden]), select, textarea")?.focus();
    } else {
      const shown = page.querySelector("[data-field]");
      place.kept = null;
      if (shown) place.replaceChildren(...shown.childNodes);
      // What else changed by it comes along: figures, status, the version of the record.
      for (const other of page.querySelectorAll("[data-also]")) document.getElementById(other.id)?.replaceWith(other);
      refresh(place);
      if (then) then(place);
      else place.querySelector(".crm-edit")?.focus();
      document.dispatchEvent(new CustomEvent("crm:saved", { detail: { name: place.dataset.field } }));
    }
  } catch (error) {
    complain(error);
  } finally {
    delete form.dataset.saving;
  }
}
function conflict(page, place) {
  const dialog = document.getElementById("dialog");
  const main = page.querySelector("main") ?? page.body;
  dialog.querySelector("h2").textContent = page.querySelector("h1")?.textContent ?? "";
  dialog.querySelector(".crm-dialog-body").replaceChildren(...main.childNodes);
  leave(place, false);
  refresh(dialog);
  dialog.showModal();
}
on("click", ".crm-edit", (event, button) => {
  event.preventDefault();
  edit(button);
});
// The value itself may be clicked too, where it is not a link.
on("click", ".crm-value.is-editable", (event, value) => {
  if (event.target.closest("a, button") || getSelection().toString()) return;
  edit(value.querySelector(".crm-edit"));
});
on("submit", "form[data-inplace]", (event, form) => {
  event.preventDefault();
  event.stopImmediatePropagation();
  save(form);
});
on("click", "form[data-inplace] [data-cancel]", (event, button) => {
  event.preventDefault();
  leave(button.closest("[data-field]"));
});
on("keydown", "form[data-inplace]", (event, form) => {
  if (event.isComposing) return;
  const place = form.closest("[data-field]");
  const list = event.target.closest(".ts-wrapper.dropdown-active, .ts-wrapper.is-making");
  if (event.key === "Escape" && !list) {
    event.preventDefault();
    event.stopPropagation();
    leave(place);
  } else if (event.key === "Enter" && !list && (event.target.tagName !== "TEXTAREA" || event.ctrlKey || event.metaKey) && event.target.tagName !== "BUTTON") {
    event.preventDefault();
    save(form);
  } else if (event.key === "Tab" && !form.querySelector(".crm-entries") && event.target.closest("input, select, textarea")) {
    event.preventDefault();
    const fields = [...document.querySelectorAll("[data-field]")].filter((each) => each === place || each.querySelector(".crm-edit"));
    const at = fields[fields.indexOf(place) + (event.shiftKey ? -1 : 1)];
    save(form, () => at && edit(at.querySelector(".crm-edit")));
  }
});
// A choice or a switch is its own answer.
on("change", 'form[data-inplace][data-instant]', (_event, form) => form.requestSubmit());

// --- tabs on a phone -------------------------------------------------------------------------------------------------

behave(".crm-card-tabs", (bar) => {
  const card = bar.parentElement.querySelector(".crm-card");
  const pick = (tab) => {
    for (const each of bar.querySelectorAll("[role=tab]")) {
      each.setAttribute("aria-selected", String(each === tab));
      each.tabIndex = each === tab ? 0 : -1;
      card.querySelector(`#${each.getAttribute("aria-controls")}`)?.classList.toggle("is-shown", each === tab);
    }
  };
  bar.addEventListener("click", (event) => event.target.closest("[role=tab]") && pick(event.target.closest("[role=tab]")));
  bar.addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const all = [...bar.querySelectorAll("[role=tab]")];
    const next = all[(all.indexOf(document.activeElement) + (event.key === "ArrowRight" ? 1 : -1) + all.length) % all.length];
    pick(next);
    next.focus();
  });
  pick(bar.querySelector("[role=tab][aria-selected=true]") ?? bar.querySelector("[role=tab]"));
});

// --- composer --------------------------------------------------------------------------------------------------------

async function compose(tab) {
  const box = tab.closest(".crm-composer");
  tab.closest("[popover]")?.hidePopover();
  const body = box.querySelector(".crm-composer-body");
  for (const each of box.querySelectorAll("[data-compose]")) each.setAttribute("aria-pressed", String(each === tab));
  try {
    const answer = await ask(tab.href ?? tab.dataset.compose);
    const page = answer.html();
    body.replaceChildren(...(page.querySelector("main") ?? page.body).childNodes);
    box.querySelector(".crm-composer-prompt")?.setAttribute("hidden", "");
    for (const form of body.querySelectorAll("form")) form.dataset.composing = "1";
    refresh(body);
    body.querySelector("textarea, input:not([type=hidden]), select")?.focus();
  } catch (error) {
    complain(error);
  }
}
on("click", "[data-compose]", (event, tab) => {
  event.preventDefault();
  compose(tab);
});
on("click", ".crm-composer [data-cancel]", (event, link) => {
  event.preventDefault();
  shut(link.closest(".crm-composer"));
});
function shut(box) {
  box.querySelector(".crm-composer-body").replaceChildren();
  box.querySelector(".crm-composer-prompt")?.removeAttribute("hidden");
  for (const each of box.querySelectorAll("[data-compose]")) each.setAttribute("aria-pressed", "false");
}
on("keydown", "form[data-composing] textarea", (event, field) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    field.form.requestSubmit();
  }
});
on("submit", "form[data-composing]", async (event, form) => {
  event.preventDefault();
  event.stopImmediatePropagation();
  const box = form.closest(".crm-composer");
  try {
    const data = new FormData(form, event.submitter);
    const answer = await ask(form.action, { method: "POST", body: form.enctype === "multipart/form-data" ? data : new URLSearchParams(data) });
    if (answer.response.status === 422) {
      const page = answer.html();
      box.querySelector(".crm-composer-body").replaceChildren(...(page.querySelector("main") ?? page.body).childNodes);
      for (const each of box.querySelectorAll("form")) each.dataset.composing = "1";
      refresh(box);
      return;
    }
    form.dispatchEvent(new CustomEvent("crm:sent", { bubbles: true, detail: answer }));
    shut(box);
    reloadTimeline();
  } catch (error) {
    complain(error);
  }
});
export function reloadTimeline() {
  const line = document.querySelector("[data-timeline]");
  if (line) window.htmx.ajax("GET", line.dataset.timeline, { target: "#timeline", swap: "innerHTML" });
}
document.addEventListener("crm:timeline", reloadTimeline);
// What colleagues change meanwhile comes by itself, unless something is being typed here.
live("*", (change) => {
  const shown = document.querySelector("main [data-live]")?.dataset.live;
  if (shown !== `${change.kind}:${change.id}`) return;
  if (document.querySelector("main form[data-inplace], .crm-composer-body form, dialog[open], [popover]:popover-open:not(#toasts)")) reloadTimeline();
  else reloadMain().catch(complain);
});
on("click", "[data-expand]", (_event, button) => {
  const body = document.getElementById(button.getAttribute("aria-controls"));
  body.hidden = !body.hidden;
  button.setAttribute("aria-expanded", String(!body.hidden));
});
export { element, toast, word };
