//! The gate: instruction counts beside those that were accepted, row by row.
//! Refuses to change what was accepted: whoever wants that says so, and the diff shows it.

use std::fmt::Write as _;

/// How much more a row may cost before the gate closes, and how much less before it says so.
const LEEWAY: f64 = 0.03;

/// The first lines of the file of accepted figures.
const HEAD: &str = "\
# Instructions that the rows of the gate cost when somebody last accepted them:
# row = offshoot, and its ratio to the careful floor. `OFFSHOOT_BLESS=1 just count` writes this file.
";

/// One row: what it is called, what it costs us, and that as a ratio to the careful floor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) row: String,
    pub(crate) ours: f64,
    pub(crate) ratio: f64,
}

/// What came of a comparison.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Judged {
    /// Why the gate is closed; open when there is nothing.
    pub(crate) failures: Vec<String>,
    /// What cost less than was accepted.
    pub(crate) gains: Vec<String>,
}

/// Reads the accepted figures.
///
/// # Errors
/// At the first line that is neither a remark nor a figure.
pub(crate) fn parse(text: &str) -> Result<Vec<Figure>, String> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let figure = |line: &str| {
        let (row, figures) = line.rsplit_once(" = ")?;
        let (ours, ratio) = figures.split_once(' ')?;
        let number = |text: &str| text.trim().parse().ok().filter(|n: &f64| *n > 0.0);
        Some(Figure {
            row: row.trim().to_owned(),
            ours: number(ours)?,
            ratio: number(ratio)?,
        })
    };
    lines
        .map(|line| figure(line).ok_or_else(|| format!("not an accepted figure: `{line}`")))
        .collect()
}

/// Writes figures as [`parse`] reads them.
pub(crate) fn write(figures: &[Figure]) -> String {
    let mut out = HEAD.to_owned();
    for Figure { row, ours, ratio } in figures {
        writeln!(out, "{row} = {ours:.2} {ratio:.3}").unwrap();
    }
    out
}

/// Judges what was found by what was accepted. A row costs more when its figure or its ratio does:
/// the first shows what a dependency adds to everybody, the second what only we add.
pub(crate) fn judge(accepted: &[Figure], found: &[Figure]) -> Judged {
    let mut judged = Judged::default();
    let named = |figures: &[Figure], row: &str| figures.iter().find(|f| f.row == row).cloned();
    for old in accepted {
        let Some(new) = named(found, &old.row) else {
            judged
                .failures
                .push(format!("{}: accepted, but not counted", old.row));
            continue;
        };
        let (figure, ratio) = (new.ours / old.ours - 1.0, new.ratio / old.ratio - 1.0);
        let worst = figure.max(ratio);
        let said = format!(
            "{}: {:.2} ({:.3} x careful), accepted {:.2} ({:.3} x careful): {:+.1} %",
            old.row,
            new.ours,
            new.ratio,
            old.ours,
            old.ratio,
            worst * 100.0,
        );
        // Written so that nothing passes which is no number.
        let passes = figure <= LEEWAY && ratio <= LEEWAY;
        if !passes {
            judged.failures.push(said);
        } else if worst < -LEEWAY {
            judged.gains.push(said);
        }
    }
    for new in found {
        if named(accepted, &new.row).is_none() {
            judged
                .failures
                .push(format!("{}: counted, but never accepted", new.row));
        }
    }
    judged
}
