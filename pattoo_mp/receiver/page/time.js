// Moments in the browser's time zone: in words, on an axis, and where an axis has its labels.

export const MINUTE = 60000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The distances that labels of an axis may have, in ms; a month and more stand for whole months. */
export const TIME_STEPS = [
  100, 200, 500, 1000, 2000, 5000, 10000, 15000, 30000, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 91 * DAY, 182 * DAY, 365 * DAY,
];

/** The round times between two times, about so far apart. */
export function timeTicks(low, high, step) {
  const found = [];
  if (step < DAY) {
    // Round in the time zone: half past is half past, also where it is 5:30 ahead.
    const ahead = -new Date(low).getTimezoneOffset() * MINUTE;
    for (let time = Math.ceil((low + ahead) / step) * step - ahead; time <= high; time += step) found.push(time);
    return found;
  }
  const date = new Date(low);
  date.setHours(0, 0, 0, 0);
  const months = Math.round(step / (30.4 * DAY));
  if (months) date.setMonth(Math.floor(date.getMonth() / months) * months, 1);
  while (date.getTime() <= high && found.length < 1000) {
    if (date.getTime() >= low) found.push(date.getTime());
    if (months) date.setMonth(date.getMonth() + months);
    else date.setDate(date.getDate() + Math.round(step / DAY));
  }
  return found;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (number) => String(number).padStart(2, "0");

/** A time for a field of a form. */
export function local(ms) {
  const date = new Date(ms);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A time on an axis with a label every `step` ms: the date where a day begins, and no more digits than needed. */
export function timeTick(ms, step) {
  const date = new Date(ms);
  const day = `${MONTHS[date.getMonth()]} ${date.getDate()}`;
  if (step >= 28 * DAY) return date.getMonth() ? `${MONTHS[date.getMonth()]} ${date.getFullYear()}` : String(date.getFullYear());
  if (step >= DAY || (date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0 && step >= MINUTE)) return day;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (step >= MINUTE) return time;
  return `${time}:${two(date.getSeconds())}${step < 1000 ? `.${Math.floor(date.getMilliseconds() / 100)}` : ""}`;
}

/** A moment in the browser's time zone; to the thousandth only where little time is shown. */
export function moment(ms, span) {
  const date = new Date(ms);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time}${span <= 2 * MINUTE ? `.${String(date.getMilliseconds()).padStart(3, "0")}` : ""}`;
}
