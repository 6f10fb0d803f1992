//! What headers say about waiting: `retry-after` in all its forms, and the vendors' rate limits.
//! Refuses waits that make no sense: past, zero, negative, not a number, infinite.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::HeaderMap;

/// A vendor that asks for a longer wait than this is not waited for: the run ends with an error
/// that says when it may go on.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// Waits beyond this are all the same, and must not overflow a clock.
const FOREVER: f64 = 1e9;

/// The wait that an answer asks for: `retry-after-ms`, then `retry-after` as seconds or as a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    retry_after_at(headers, SystemTime::now())
}

pub(super) fn retry_after_at(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.trim());
    let millis = text("retry-after-ms").and_then(|ms| seconds(ms, 1000.0));
    millis.or_else(|| {
        let text = text("retry-after")?;
        seconds(text, 1.0).or_else(|| until(httpdate::parse_http_date(text).ok()?, now))
    })
}

/// Whether the vendor says that a retry makes sense, or that it does not.
pub(super) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    match headers.get("x-should-retry")?.to_str().ok()?.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Pairs of headers: how much is left, and when there is more.
const RATES: [(&str, &str); 6] = [
    (
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
    ),
    (
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ),
    (
        "anthropic-ratelimit-input-tokens-remaining",
        "anthropic-ratelimit-input-tokens-reset",
    ),
    (
        "anthropic-ratelimit-output-tokens-remaining",
        "anthropic-ratelimit-output-tokens-reset",
    ),
    (
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
    ),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
];

/// How long nothing is left of some limit.
pub(super) fn exhausted(headers: &HeaderMap) -> Option<Duration> {
    exhausted_at(headers, SystemTime::now())
}

pub(super) fn exhausted_at(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    // Most answers say nothing, and looking for each of these names costs more than that.
    if !headers
        .keys()
        .any(|name| name.as_str().contains("ratelimit"))
    {
        return None;
    }
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim());
    let waits = RATES.iter().filter_map(|(left, reset)| {
        if text(left)? != "0" {
            return None;
        }
        let reset = text(reset)?;
        span(reset).or_else(|| until(stamp(reset)?, now))
    });
    waits.max()
}

fn seconds(text: &str, per_second: f64) -> Option<Duration> {
    let value: f64 = text.parse().ok()?;
    (value.is_finite() && value > 0.0)
        .then(|| Duration::from_secs_f64((value / per_second).min(FOREVER)))
}

fn until(then: SystemTime, now: SystemTime) -> Option<Duration> {
    then.duration_since(now).ok().filter(|wait| !wait.is_zero())
}

/// A duration such as `1s`, `6m0s`, `20ms`, `1h2m3.5s`.
fn span(text: &str) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let end = rest[unit..].find(|c: char| !c.is_ascii_alphabetic());
        let end = end.map_or(rest.len(), |end| unit + end);
        let value: f64 = rest[..unit].parse().ok()?;
        total += value
            * match &rest[unit..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" => 1e-6,
                _ => return None,
            };
        rest = &rest[end..];
    }
    (total.is_finite() && total > 0.0).then(|| Duration::from_secs_f64(total.min(FOREVER)))
}

/// A moment such as `2026-01-02T03:04:05Z`, `…:05.25Z` or `…:05+02:00`.
fn stamp(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let zone = time.rfind(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let hour: u32 = time.next()?.parse().ok()?;
    let minute: u32 = time.next()?.parse().ok()?;
    let second: f64 = time.next()?.parse().ok()?;
    let sane = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && (0.0..61.0).contains(&second);
    if !sane {
        return None;
    }
    let offset = match zone.split_at(1) {
        ("Z" | "z", "") => 0.0,
        (sign, zone) => {
            let (hours, minutes) = zone.split_once(':')?;
            let minutes = hours.parse::<u32>().ok()? * 60 + minutes.parse::<u32>().ok()?;
            let seconds = f64::from(minutes) * 60.0;
            if sign == "-" { -seconds } else { seconds }
        }
    };
    let day = f64::from(days(year, month) + day - 1) * 86_400.0;
    let clock = f64::from(hour * 3600 + minute * 60) + second;
    let total = Duration::try_from_secs_f64(day + clock - offset).ok()?;
    UNIX_EPOCH.checked_add(total)
}

/// Days from 1970 to the first of a month.
fn days(year: u32, month: u32) -> u32 {
    const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leaps = |year: u32| year / 4 - year / 100 + year / 400;
    let is_leap = leaps(year) > leaps(year - 1);
    let leap_day = u32::from(is_leap && month > 2);
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + BEFORE[month as usize - 1] + leap_day
}
