//! Orders the steps of a body: what is sent, where it pauses, where it ends.
//! Refuses to send anything; it is a plain function from frames and faults to steps.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::reply::{Cut, Damage, Faults, Pieces, Place};

/// One step of sending a body.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// One chunk under chunked encoding.
    Send(Bytes),
    Pause(Duration),
    /// For ever.
    Stall,
    /// Until so many streams wait at the same time.
    Hold(usize),
    /// What was sent so far leaves now, in a write of its own.
    Flush,
    /// The last step of a body that ends too early.
    Cut(Cut),
}

impl Step {
    /// Whether nothing can follow.
    fn is_last(&self) -> bool {
        matches!(self, Self::Stall | Self::Cut(_))
    }
}

/// The steps of a body that comes in these frames, with a pause between them.
pub(super) fn plan(mut frames: Vec<Bytes>, faults: &Faults, pause: Option<Duration>) -> Vec<Step> {
    for (byte, damage) in &faults.corrupt {
        corrupt(&mut frames, *byte, *damage);
    }
    let stops = stops(&frames, faults);
    let (frames, pause) = match &faults.pieces {
        Pieces::Natural => (frames, pause),
        Pieces::Every(n) => (split_every(join(frames), *n), None),
        Pieces::Drip(n, interval) => (split_every(join(frames), *n), Some(*interval)),
        Pieces::At(places) => (split_at(join(frames), places), None),
    };
    let apart = !matches!(faults.pieces, Pieces::Natural);
    let mut steps = Vec::with_capacity(2 * frames.len() + stops.len());
    let mut stops = stops.into_iter().peekable();
    let mut sent = 0;
    for (index, mut frame) in frames.into_iter().enumerate() {
        if index > 0 {
            steps.extend(pause.map(Step::Pause));
        }
        while let Some((byte, step)) = stops.next_if(|(byte, _)| *byte < sent + frame.len()) {
            let before = frame.split_to(byte - sent);
            sent += before.len();
            if !before.is_empty() {
                steps.push(Step::Send(before));
            }
            let last = step.is_last();
            steps.push(step);
            if last {
                return steps;
            }
        }
        sent += frame.len();
        steps.push(Step::Send(frame));
        if apart {
            steps.push(Step::Flush);
        }
    }
    for (_, step) in stops {
        let last = step.is_last();
        steps.push(step);
        if last {
            break;
        }
    }
    steps
}

/// Whatever interrupts the bytes, in order of place; a hold comes before a stall before a cut.
fn stops(frames: &[Bytes], faults: &Faults) -> Vec<(usize, Step)> {
    let mut stops = Vec::new();
    for (place, streams) in &faults.holds {
        let byte = match place {
            Place::Middle => middle(frames),
            Place::Byte(byte) => *byte,
        };
        stops.push((byte, Step::Hold(*streams)));
    }
    for (byte, wait) in &faults.stalls {
        stops.push((*byte, wait.map_or(Step::Stall, Step::Pause)));
    }
    stops.extend(faults.cut.map(|(byte, how)| (byte, Step::Cut(how))));
    stops.sort_by_key(|(byte, _)| *byte); // stable
    stops
}

/// The middle of the body: between two frames where there are several.
fn middle(frames: &[Bytes]) -> usize {
    match frames {
        [] => 0,
        [only] => only.len() / 2,
        several => several[..several.len() / 2].iter().map(Bytes::len).sum(),
    }
}

fn corrupt(frames: &mut [Bytes], byte: usize, damage: Damage) {
    let mut start = 0;
    for frame in frames {
        if byte < start + frame.len() {
            let mut bytes = BytesMut::from(&frame[..]);
            let old = &mut bytes[byte - start];
            *old = match damage {
                Damage::Invert => !*old,
                Damage::Overwrite(with) => with,
            };
            *frame = bytes.freeze();
            return;
        }
        start += frame.len();
    }
}

fn join(mut frames: Vec<Bytes>) -> Bytes {
    match frames.len() {
        1 => frames.remove(0),
        _ => frames.concat().into(),
    }
}

fn split_every(mut bytes: Bytes, n: usize) -> Vec<Bytes> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(n));
    while !bytes.is_empty() {
        out.push(bytes.split_to(n.min(bytes.len())));
    }
    out
}

/// `places` are sorted.
fn split_at(mut bytes: Bytes, places: &[usize]) -> Vec<Bytes> {
    let (mut out, mut start) = (Vec::with_capacity(places.len() + 1), 0);
    for place in places {
        if *place > start && *place - start < bytes.len() {
            out.push(bytes.split_to(place - start));
            start = *place;
        }
    }
    out.push(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(list: &[&'static str]) -> Vec<Bytes> {
        list.iter()
            .map(|text| Bytes::from_static(text.as_bytes()))
            .collect()
    }

    fn check(faults: Faults, expected: &str) {
        let steps = plan(frames(&["abc", "def", "gh"]), &faults, None);
        let said: Vec<_> = steps
            .iter()
            .filter(|step| **step != Step::Flush)
            .map(|step| match step {
                Step::Send(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(said.join(" "), expected);
    }

    #[test]
    fn steps_stand_at_their_byte() {
        let none = Faults::default;
        check(none(), "abc def gh");
        let cut = |byte| Faults {
            cut: Some((byte, Cut::Close)),
            ..none()
        };
        check(cut(0), "Cut(Close)");
        check(cut(2), "ab Cut(Close)");
        check(cut(3), "abc Cut(Close)");
        check(cut(4), "abc d Cut(Close)");
        check(cut(8), "abc def gh Cut(Close)");
        check(cut(99), "abc def gh Cut(Close)");
        let stalled = Faults {
            stalls: vec![(4, None), (1, Some(Duration::ZERO))],
            ..none()
        };
        check(stalled, "a Pause(0ns) bc d Stall");
        let held = Faults {
            holds: vec![(Place::Middle, 7)],
            ..cut(3)
        };
        check(held, "abc Hold(7) Cut(Close)");
    }

    #[test]
    fn pieces_replace_frames() {
        let none = Faults::default;
        let pieces = |pieces| Faults { pieces, ..none() };
        check(pieces(Pieces::Every(3)), "abc def gh");
        check(pieces(Pieces::Every(5)), "abcde fgh");
        check(pieces(Pieces::At(vec![0, 1, 1, 6, 8, 20])), "a bcdef gh");
        let second = Duration::from_secs(1);
        check(pieces(Pieces::Drip(4, second)), "abcd Pause(1s) efgh");
        let both = Faults {
            cut: Some((5, Cut::Reset)),
            ..pieces(Pieces::Drip(4, second))
        };
        check(both, "abcd Pause(1s) e Cut(Reset)");
        let hurt = Faults {
            corrupt: vec![(3, Damage::Overwrite(b'X')), (99, Damage::Invert)],
            ..none()
        };
        check(hurt, "abc Xef gh");
    }
}
