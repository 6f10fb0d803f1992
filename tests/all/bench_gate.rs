//! The gate of the benchmarks: what it lets through, and what closes it.
//! Refuses to count instructions; it is given figures.

#[path = "../../benches/turns/gate.rs"]
mod gate;

use gate::{Figure, Judged, judge, parse, write};

fn figure(row: &str, ours: f64, ratio: f64) -> Figure {
    Figure {
        row: row.into(),
        ours,
        ratio,
    }
}

fn accepted() -> Vec<Figure> {
    vec![figure("text", 8_000.0, 1.1), figure("tools", 80.0, 1.2)]
}

/// What comes of it when the first row costs this many times what was accepted.
fn with(ours: f64, ratio: f64) -> Judged {
    let mut found = accepted();
    found[0].ours *= ours;
    found[0].ratio *= ratio;
    judge(&accepted(), &found)
}

#[test]
fn what_was_accepted_passes_without_a_word() {
    assert_eq!(with(1.0, 1.0), Judged::default());
}

#[test]
fn just_below_the_leeway_passes_and_just_above_fails() {
    assert_eq!(with(1.029, 1.029), Judged::default());
    let judged = with(1.031, 1.031);
    assert_eq!(judged.failures.len(), 1);
    assert!(judged.failures[0].contains("+3.1 %"), "{judged:?}");
    assert!(judged.failures[0].contains("8248.00"), "{judged:?}");
    assert!(
        judged.failures[0].contains("accepted 8000.00"),
        "{judged:?}"
    );
}

#[test]
fn the_figure_alone_closes_it_and_so_does_the_ratio() {
    assert_eq!(with(1.031, 1.0).failures.len(), 1);
    assert_eq!(with(1.0, 1.031).failures.len(), 1);
}

#[test]
fn a_gain_is_told_and_passes() {
    let judged = with(0.969, 0.969);
    assert_eq!((judged.failures.len(), judged.gains.len()), (0, 1));
    assert_eq!(with(0.971, 0.971), Judged::default());
}

#[test]
fn a_row_that_is_missing_on_either_side_fails() {
    let judged = judge(&accepted(), &accepted()[..1]);
    assert_eq!(judged.failures, ["tools: accepted, but not counted"]);
    let judged = judge(&accepted()[1..], &accepted());
    assert_eq!(judged.failures, ["text: counted, but never accepted"]);
    assert_eq!(judge(&[], &accepted()).failures.len(), 2);
}

#[test]
fn what_is_no_number_never_passes() {
    assert_eq!(with(f64::NAN, 1.0).failures.len(), 1);
    assert_eq!(with(1.0, f64::NAN).failures.len(), 1);
    assert_eq!(with(f64::INFINITY, 1.0).failures.len(), 1);
}

#[test]
fn what_is_written_is_read_again() {
    assert_eq!(parse(&write(&accepted())), Ok(accepted()));
    for wrong in [
        "text",
        "text = 1",
        "text = 0 1",
        "text = NaN 1",
        "text = a b",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
