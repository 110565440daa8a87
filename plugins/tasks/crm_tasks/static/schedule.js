// The schedule: draws the calendar over the agenda that stands in the page, moves by drag, plans by a click, keys.
import { ask, behave, calendar, complain, icon, element, isTyping, keyOf, live, on, openDialog, toast } from "crm/ui";

const VIEWS = { month: "dayGridMonth", week: "timeGridWeek", day: "timeGridDay", agenda: "listWeek" };
const NAMES = Object.fromEntries(Object.entries(VIEWS).map(([name, view]) => [view, name]));
const KEYS = { m: "month", w: "week", d: "day", a: "agenda" };

let made = null;
let config = null;

// Times are wall times of the reader's zone, reckoned by the server: the calendar takes them for UTC and moves none.
const wall = (date) => (date ? date.toISOString().slice(0, 19) : "");
const dayOf = (date) => wall(date).slice(0, 10);
const isPhone = () => matchMedia("(max-width: 767.98px)").matches;

async function fetchThings(range, done, failed) {
  const query = new URLSearchParams({ start: dayOf(range.start), end: dayOf(range.end) });
  for (const one of config.people.slice(1)) query.append("people", one);
  try {
    const answer = await ask(`/tasks/schedule/events?${query}`, { json: true });
    const { events, cut } = answer.json();
    if (cut) toast(config.words.cut, { tone: "warning" });
    done(events);
  } catch (error) {
    failed(error);
    complain(error);
  }
}

function classes({ event, view }) {
  const it = event.extendedProps;
  if (it.rest) return "sched-rest";
  return ["sched-event", `is-${it.tone}`, it.closed && "is-closed", it.late && "is-late", it.ahead && "is-ahead", view.type === "listWeek" && "is-row"].filter(Boolean).join(" ");
}

function hours(event) {
  if (event.allDay) return config.words.all_day;
  const at = (date) => wall(date).slice(11, 16);
  return event.end ? `${at(event.start)}–${at(event.end)}` : at(event.start);
}

function content({ event, timeText, view }) {
  const it = event.extendedProps;
  if (it.rest) return null;
  const short = event.allDay || view.type !== "timeGridDay" && view.type !== "timeGridWeek" || event.end - event.start <= 45 * 60000;
  // Beside the axis a short thing needs no hour of its own.
  const list = view.type === "listWeek";
  const time = list ? hours(event) : short && view.type.startsWith("timeGrid") ? "" : short ? timeText.split("–")[0].trim() : timeText;
  const words = element("span", { class: "sched-words" }, time ? element("b", {}, time) : null, event.title);
  if (it.place && !event.allDay) words.append(element("small", {}, it.place));
  if (it.who && config.people.length > 1) words.append(element("small", {}, it.who));
  const sign = icon(it.icon, "icon sched-sign");
  const told = it.told ? element("span", { class: "visually-hidden" }, `, ${it.told}`) : null;
  const line = short ? " is-line" : "";
  return { domNodes: [element("span", { class: `sched-in${line}`, title: [event.title, it.told, it.who].filter(Boolean).join(" · ") }, sign, words, told)] };
}

// What a click in a slot does, for the keyboard: a button of each day, seen when it is reached.
function planner(date) {
  const day = date.toLocaleDateString(document.documentElement.lang, { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" });
  const button = element("button", { type: "button", class: "btn btn-sm visually-hidden-focusable sched-planner" }, `${config.words.plan}: ${day}`);
  const morning = new Date(`${dayOf(date)}T${config.hours[0]?.startTime ?? "09:00"}:00Z`);
  button.addEventListener("click", () => plan(morning));
  return button;
}

function askWhich() {
  const dialog = document.getElementById("sched-which");
  return new Promise((resolve) => {
    const stop = new AbortController();
    const end = (which) => {
      stop.abort();
      dialog.close();
      resolve(which);
    };
    dialog.addEventListener("cancel", (event) => (event.preventDefault(), end("")), { signal: stop.signal });
    dialog.querySelectorAll("[data-which]").forEach((each) => each.addEventListener("click", () => end(each.dataset.which), { signal: stop.signal }));
    dialog.showModal();
  });
}

async function move(info) {
  const { event } = info;
  const it = event.extendedProps;
  const which = it.series ? await askWhich() : "this";
  if (!which) return info.revert();
  const body = new URLSearchParams({
    start: event.allDay ? dayOf(event.start) : wall(event.start),
    end: event.end ? (event.allDay ? dayOf(event.end) : wall(event.end)) : "",
    all_day: event.allDay ? "1" : "",
    version: it.version,
    which,
  });
  try {
    const answer = await ask(`/tasks/schedule/${it.number}/move`, { method: "POST", body });
    if (!answer.response.ok) info.revert();
  } catch (error) {
    info.revert();
    complain(error);
  }
  made?.refetchEvents();
}

function plan(start, { end = null, allDay = false } = {}) {
  const query = new URLSearchParams({ start: allDay ? dayOf(start) : wall(start).slice(0, 16) });
  if (allDay) query.set("all_day", "1");
  else if (end) query.set("minutes", Math.round((end - start) / 60000));
  openDialog(`/tasks/schedule/new?${query}`);
}

function said() {
  const range = document.getElementById("sched-range");
  if (range && made) range.textContent = made.view.title;
  const name = NAMES[made.view.type];
  document.querySelectorAll(".sched-bar .crm-tab").forEach((tab) => {
    const here = new URL(tab.href).searchParams.get("view") === name;
    if (here) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  });
  const url = new URL(location.href);
  url.searchParams.set("view", name);
  url.searchParams.set("date", dayOf(made.getDate()));
  history.replaceState(history.state, "", url);
  document.querySelectorAll("[data-sched-people] input[name=view]").forEach((each) => (each.value = name));
  document.querySelectorAll("[data-sched-people] input[name=date]").forEach((each) => (each.value = dayOf(made.getDate())));
}

function show(name) {
  if (!made || !VIEWS[name]) return;
  made.changeView(VIEWS[name]);
  ask("/tasks/schedule/look", { method: "POST", body: new URLSearchParams({ view: name }) }).catch(() => {});
}

async function draw(box, view, date) {
  config = JSON.parse(box.dataset.config);
  const began = Date.now();
  const place = element("div");
  made?.destroy();
  made = null;
  const asked = new URL(location.href).searchParams.has("view");
  const first = view ?? (isPhone() && !asked && ["week", "month"].includes(config.view) ? "agenda" : config.view);
  box.replaceChildren(place);
  box.classList.add("is-drawn");
  made = await calendar(place, {
    timeZone: "UTC",
    now: () => new Date(Date.parse(`${config.now}Z`) + Date.now() - began).toISOString().slice(0, 19),
    initialView: VIEWS[first] ?? VIEWS.week,
    initialDate: date ?? config.date,
    headerToolbar: false,
    height: isPhone() ? "max(420px, calc(100dvh - 340px))" : "max(520px, calc(100vh - 250px))",
    listItemEventBeforeClass: "d-none",
    expandRows: true,
    views: { dayGridMonth: { height: "auto" }, listWeek: { height: "auto" } },
    dayMaxEvents: 4,
    // A cell that says its date as a label hides from those who hear the page what stands in it.
    dayCellDidMount: ({ el }) => el.closest("[aria-label]")?.removeAttribute("aria-label"),
    // Buttons are no items of a list; the nearest one is that of the day.
    eventDidMount: ({ el }) => {
      const box = el.closest("[role=list], [role=group]");
      if (box?.getAttribute("role") === "list") box.setAttribute("role", "group");
    },
    dayLaneDidMount: ({ el, date }) => config.create && el.append(planner(date)),
    businessHours: config.hours,
    scrollTime: config.scroll,
    slotDuration: "00:30:00",
    slotMinHeight: 28,
    eventMinHeight: 24,
    eventShortHeight: 20,
    eventDisplay: "block",
    eventTimeFormat: { hour: "2-digit", minute: "2-digit", hour12: false },
    slotHeaderFormat: { hour: "2-digit", minute: "2-digit", hour12: false },
    snapDuration: "00:15:00",
    slotEventOverlap: false,
    allDayText: config.words.all_day,
    noEventsText: config.words.none,
    eventInteractive: true,
    editable: true,
    selectable: config.create,
    selectMirror: true,
    selectMinDistance: 6,
    unselectAuto: true,
    events: fetchThings,
    eventClass: classes,
    backgroundEventClass: classes,
    eventContent: content,
    eventDrop: move,
    eventResize: move,
    eventClick: (info) => {
      const href = info.event.extendedProps.href;
      info.jsEvent.preventDefault();
      if (href) openDialog(href, "side");
    },
    select: (info) => {
      made.unselect();
      if (isPhone()) return;
      plan(info.start, { end: info.end, allDay: info.allDay });
    },
    dateClick: (info) => config.create && plan(info.date, { allDay: info.allDay }),
    datesSet: () => made && said(),
  });
  said();
}

behave("[data-schedule]", (box) => draw(box).catch(complain));

// The page came anew beneath the calendar: it is drawn again where it was.
document.addEventListener("crm:reloaded", () => {
  const box = document.querySelector("[data-schedule]");
  if (!box) return;
  const view = made && NAMES[made.view.type];
  draw(box, view, made && dayOf(made.getDate())).catch(complain);
});

live("tasks.task", () => document.querySelector("[data-schedule]") && made?.refetchEvents());

on("click", "[data-sched]", (event, link) => {
  if (!made || !document.querySelector("[data-schedule]")) return;
  event.preventDefault();
  made[link.dataset.sched]();
});

on("click", ".sched-bar .crm-tab", (event, tab) => {
  const name = new URL(tab.href).searchParams.get("view");
  if (!made || !VIEWS[name] || !document.querySelector("[data-schedule]")) return;
  event.preventDefault();
  show(name);
});

on("change", "[data-sched-people] select", (_event, select) => select.form.requestSubmit());

on("focusin", "[data-select-all]", (_event, input) => input.select());

let leads = 0;
document.addEventListener("keydown", (event) => {
  if (!made || !document.querySelector("[data-schedule]") || event.defaultPrevented) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]:not(#side-sheet), [popover]:popover-open:not(#toasts)")) return;
  // The calendar itself counts as a place where one types for the keys of the shell; for ours it does not.
  if (isTyping(event.target) && !event.target.closest(".crm-calendar")) return;
  const pressed = keyOf(event);
  // After `g` a letter goes to a module, also from here.
  const going = Date.now() - leads < 1200;
  leads = pressed === "g" && !going ? Date.now() : 0;
  if (going || pressed === "g") return;
  if (KEYS[pressed]) show(KEYS[pressed]);
  else if (pressed === "t") made.today();
  else if (pressed === "n" && config.create) document.querySelector("#plan, a[href='/tasks/schedule/new']")?.click();
  else if (pressed === "ArrowLeft") made.prev();
  else if (pressed === "ArrowRight") made.next();
  else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });
