//! `match.time`: when, by the clock on the wall of a place.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::{Condition, Memo};
use crate::error::quote;
use crate::load::{Keys, Loader, Node, Table};
use crate::nearest::nearest;

const KEYS: Keys<'_> = Keys { known: &["zone", "days", "inside", "outside", "dates"] };
const ZONE: &str = "a time zone such as Europe/Berlin";
const DAYS: &str = "a day such as mon, or days such as mon-fri";
const HOURS: &str = "hours such as 08:00-18:00";
const DATES: &str = "a date such as 2026-12-24 or, for every year, 12-24; or two of them with .. between";
const DAY_NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_OF_A_DAY: u16 = 24 * 60;

/// A window of time. All that is said of it holds together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Window {
    zone: TimeZone,
    /// The number of the zone among those of the rules.
    number: u32,
    /// One bit a day, Monday the lowest.
    days: Option<u8>,
    /// Minutes of the day, of which any may hold.
    inside: Vec<Hours>,
    /// Minutes of the day, none of which may hold.
    outside: Vec<Hours>,
    dates: Vec<Dates>,
}

/// From a minute of the day up to another. Where the end is not later, they reach over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hours {
    from: u16,
    to: u16,
}

/// From a day to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dates {
    Once(Date, Date),
    /// Month and day; where the end is earlier, they reach over New Year.
    EveryYear((i8, i8), (i8, i8)),
}

pub(super) fn read(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Condition> {
    let table = node.table(loader, &KEYS)?;
    let zone = match table.get("zone") {
        Some(zone) => read_zone(&zone, loader),
        None if table.has_foreign_keys => None,
        None => table.refuse_missing(loader, "zone", ZONE),
    };
    let days = read_list(&table, "days", loader, read_days);
    let inside = read_list(&table, "inside", loader, read_hours);
    let outside = read_list(&table, "outside", loader, read_hours);
    let dates = read_list(&table, "dates", loader, read_dates);
    let days = days?.into_iter().reduce(|a, b| a | b);
    let (number, zone) = zone?;
    let window = Window { zone, number, days, inside: inside?, outside: outside?, dates: dates? };
    if window.says_nothing() {
        return if table.has_foreign_keys {
            None
        } else {
            node.refuse_as(loader, "a zone alone", "at least one of: days, inside, outside, dates")
        };
    }
    Some(Condition::Time(Box::new(window)))
}

/// An absent key is an empty list.
fn read_list<T>(
    table: &Table<'_>,
    key: &str,
    loader: &mut Loader<'_>,
    read: fn(&Node<'_>, &mut Loader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    table.get(key).map_or(Some(Vec::new()), |node| node.each(loader, read))
}

/// Zones come with the program: a container needs no files for them.
fn read_zone(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<(u32, TimeZone)> {
    let name = node.text(loader, ZONE)?;
    let zones = &mut loader.shared.zones;
    if let Some(known) = zones.get(name) {
        return Some(known.clone());
    }
    let database = TimeZoneDatabase::bundled();
    if let Ok(zone) = database.get(name) {
        let same = zones.values().find(|(_, own)| *own == zone).cloned();
        let numbered = same.or_else(|| Some((u32::try_from(zones.len()).ok()?, zone)))?;
        zones.insert(name.to_owned(), numbered.clone());
        return Some(numbered);
    }
    let names: Vec<String> = database.available().map(|name| name.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint =
        nearest(name, &names).map(|near| format!("; did you mean {}?", quote(near))).unwrap_or_default();
    node.refuse(loader, format!("{ZONE}{hint}"))
}

fn read_days(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<u8> {
    let text = node.text(loader, DAYS)?;
    let day = |name: &str| DAY_NAMES.iter().position(|known| *known == name);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (Some(first), Some(last)) = (day(first), day(last)) else {
        return node.refuse(loader, DAYS);
    };
    // From Friday to Monday goes over the end of the week.
    let days = (0..7).map(|after| (first + after) % 7);
    let upto = (last + 7 - first) % 7;
    Some(days.take(upto + 1).fold(0, |bits, day| bits | (1 << day)))
}

fn read_hours(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Hours> {
    let text = node.text(loader, HOURS)?;
    let hours = text.split_once('-').and_then(|(from, to)| Some((minute_of(from)?, minute_of(to)?)));
    match hours {
        Some((from, to)) if from < MINUTES_OF_A_DAY && from != to => Some(Hours { from, to }),
        _ => node.refuse(loader, HOURS),
    }
}

fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let is_fit = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| is_fit)
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= MINUTES_OF_A_DAY).then_some(minutes)
}

fn read_dates(node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Dates> {
    let text = node.text(loader, DATES)?;
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let dates = match (first.parse::<Date>(), last.parse::<Date>()) {
        (Ok(first), Ok(last)) if first <= last => Some(Dates::Once(first, last)),
        (Err(_), Err(_)) => day_of_year(first).zip(day_of_year(last)).map(|(a, b)| Dates::EveryYear(a, b)),
        _ => None,
    };
    dates.or_else(|| node.refuse(loader, DATES))
}

/// Month and day; the 29th of February is one.
fn day_of_year(text: &str) -> Option<(i8, i8)> {
    let date: Date = format!("2024-{text}").parse().ok().filter(|_| text.len() == 5)?;
    Some((date.month(), date.day()))
}

impl Window {
    fn says_nothing(&self) -> bool {
        self.days.is_none() && self.inside.is_empty() && self.outside.is_empty() && self.dates.is_empty()
    }

    /// `time` is Unix time in seconds. A time that no calendar has is in no window.
    pub(super) fn holds(&self, time: i64, memo: &mut Memo<'_>) -> bool {
        let Some(local) = memo.clock(&self.zone, self.number, time) else { return false };
        self.has_day(local.weekday()) && self.has_hour(local) && self.has_date(local.date())
    }

    fn has_day(&self, day: Weekday) -> bool {
        let bit = 1 << day.to_monday_zero_offset();
        self.days.is_none_or(|days| days & bit != 0)
    }

    fn has_hour(&self, local: DateTime) -> bool {
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0);
        let has = |list: &[Hours]| list.iter().any(|hours| hours.contains(minute));
        (self.inside.is_empty() || has(&self.inside)) && !has(&self.outside)
    }

    fn has_date(&self, date: Date) -> bool {
        self.dates.is_empty() || self.dates.iter().any(|dates| dates.contains(date))
    }
}

impl Hours {
    const fn contains(self, minute: u16) -> bool {
        if self.from < self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

impl Dates {
    fn contains(self, date: Date) -> bool {
        match self {
            Self::Once(first, last) => first <= date && date <= last,
            Self::EveryYear(first, last) => {
                let day = (date.month(), date.day());
                if first <= last { first <= day && day <= last } else { first <= day || day <= last }
            }
        }
    }
}
