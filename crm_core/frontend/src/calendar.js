// The calendar, a chunk of its own: loaded by the first page that draws one.
import { Calendar } from "fullcalendar";
import dayGrid from "fullcalendar/daygrid";
import interaction from "fullcalendar/interaction";
import list from "fullcalendar/list";
import ru from "fullcalendar/locales/ru";
import classic from "fullcalendar/themes/classic";
import timeGrid from "fullcalendar/timegrid";

let styled;

function style() {
  styled ??= new Promise((resolve) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = document.querySelector('meta[name="crm-calendar"]').content;
    link.onload = link.onerror = resolve;
    document.head.append(link);
  });
  return styled;
}

export async function draw(box, options) {
  await style();
  box.classList.add("crm-calendar");
  const made = new Calendar(box, {
    plugins: [dayGrid, timeGrid, list, interaction, classic],
    locales: [ru],
    locale: document.documentElement.lang,
    firstDay: 1,
    nowIndicator: true,
    ...options,
  });
  made.render();
  return made;
}
