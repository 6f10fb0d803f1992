//! The rules of the house as tests: arrows, sizes, opening lines, serialization, closed lists.
//! Refuses to trust itself: each rule is also shown a planted violation and must catch it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Module and floor, in the order of ARCHITECTURE.md. A module uses only lower floors.
#[rustfmt::skip]
const FLOORS: &[(&str, u8)] = &[
    ("environment", 0), ("error", 0), ("event", 0), ("id", 0), ("kept", 0), ("message", 0), ("options", 0), ("spec", 0),
    ("usage", 0),
    ("budget", 1), ("durable", 1), ("http", 1), ("process", 1), ("redact", 1), ("registry", 1),
    ("schema", 1), ("scope", 1), ("sink", 1),
    ("hook", 2), ("permission", 2), ("provider", 2), ("store", 2), ("tool", 2), ("trace", 2),
    ("backend", 3), // a landing above the other contracts
    ("dispatch", 4), ("settings", 4), ("transcript", 4), ("workspace", 4),
    ("agent", 5),
    ("session", 6), ("subagent", 6),
    ("testing", 7), ("tools", 7), ("mcp", 7), ("runner", 7),
    ("coding", 8), ("supervisor", 8), ("remote", 8), ("editor", 8),
    ("cli", 9),
];

/// Who may use a neighbour on the same floor: a seat stands in a scope.
const NEIGHBOURS: &[(&str, &str)] = &[("process", "scope"), ("registry", "scope")];

/// The engine is closed: a new file here is a decision, not an accident.
#[rustfmt::skip]
const ENGINE: &[&str] = &[
    "call.rs", "context.rs", "derive.rs", "ending.rs", "fold.rs", "live.rs", "log.rs",
    "mod.rs", "prepare.rs", "recall.rs", "steps.rs", "talk.rs", "turn.rs",
];

/// Where serialization may be derived: words, vendors' wires, published formats, tables of the CLI.
#[rustfmt::skip]
const SERIALIZED: &[&str] = &[
    "error.rs", "event.rs", "id.rs", "id/", "message.rs", "usage.rs", "wire.rs", "frame.rs", "journal.rs",
    "settings/", "cli/", "provider/", "testing/", "tools/", "tool/", "store/", "http/",
];

const MAX_LINES: usize = 500;
const MAX_TURN_LINES: usize = 400;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> BTreeMap<String, String> {
    fn walk(dir: &Path, base: &Path, out: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, base, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path
                    .strip_prefix(base)
                    .unwrap()
                    .to_string_lossy()
                    .replace('\\', "/");
                out.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(&root().join("src"), &root().join("src"), &mut out);
    out
}

fn room(file: &str) -> &str {
    file.split('/')
        .next()
        .unwrap_or(file)
        .trim_end_matches(".rs")
}

fn is_test(file: &str) -> bool {
    file.ends_with("tests.rs") || file.contains("/tests/")
}

/// The part of a file that is not its inline test module.
fn code(text: &str) -> String {
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text);
    text.lines()
        .filter(|l| !l.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every module that a file names by way of `crate::`.
fn arrows(text: &str) -> Vec<String> {
    let code = code(text);
    let mut out = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if !rest.starts_with('{') {
            out.push(word(rest));
            continue;
        }
        let mut depth = 0;
        let mut fresh = true;
        for (i, c) in rest.char_indices() {
            match c {
                '{' => {
                    depth += 1;
                    if depth > 1 {
                        fresh = false;
                    }
                }
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                ',' if depth == 1 => fresh = true,
                c if fresh && depth == 1 && (c.is_alphabetic() || c == '_') => {
                    out.push(word(&rest[i..]));
                    fresh = false;
                }
                _ => {}
            }
        }
    }
    out
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
}

fn upward(file: &str, text: &str) -> Vec<String> {
    let own = room(file);
    if matches!(own, "lib" | "bin") || is_test(file) {
        return Vec::new();
    }
    let Some(here) = floor(own) else {
        return vec![format!("{file}: unknown room `{own}`")];
    };
    let mut wrong = Vec::new();
    for target in arrows(text) {
        let ok = target == own
            || match floor(&target) {
                Some(there) => {
                    let neighbours = NEIGHBOURS.contains(&(own, target.as_str()));
                    there < here || (there == 0 && here == 0) || neighbours
                }
                None => false,
            };
        if !ok {
            wrong.push(format!("{file} (floor {here}) uses `crate::{target}`"));
        }
    }
    wrong
}

fn too_long(file: &str, text: &str) -> Option<String> {
    let lines = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
        .lines()
        .count();
    let limit = if file == "agent/turn.rs" {
        MAX_TURN_LINES
    } else {
        MAX_LINES
    };
    (!is_test(file) && lines > limit).then(|| format!("{file}: {lines} lines, at most {limit}"))
}

fn bad_opening(file: &str, text: &str) -> Option<String> {
    let mut lines = text.lines();
    let good = file == "lib.rs"
        || (lines.next().is_some_and(|l| l.starts_with("//! "))
            && lines.next().is_some_and(|l| l.starts_with("//! Refuses ")));
    (!good).then(|| format!("{file}: the first line says what it owns, the second `Refuses …`"))
}

fn serializes(file: &str, text: &str) -> Option<String> {
    let code = code(text);
    let derives = code.contains("Serialize") || code.contains("Deserialize)");
    let allowed = is_test(file)
        || SERIALIZED
            .iter()
            .any(|a| file.ends_with(a) || file.contains(a));
    (derives && !allowed).then(|| format!("{file}: serialization is derived elsewhere"))
}

/// What gives out a guard in the registry: its locks, and its maps. The compiler's lint knows the
/// standard library's guards; those of a map it would have to be told of one by one.
#[rustfmt::skip]
const GUARDS: &[&str] = &[
    ".state()", "_state()", ".lock()", ".entry(", ".get(&", ".get_mut(", ".iter()", ".iter_mut()",
    ".agents.", ".trees.",
];

/// The functions of a file, each with its body.
fn functions(text: &str) -> Vec<(String, String)> {
    let code = code(text);
    let mut out = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let rest = &code[at + 3..];
        let (Some(open), end) = (rest.find('{'), rest.find(';').unwrap_or(rest.len())) else {
            continue;
        };
        if open > end {
            continue; // a function without a body
        }
        let mut depth = 0;
        let close = rest[open..].char_indices().find(|(_, c)| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0
        });
        let close = close.map_or(rest.len(), |(at, _)| open + at);
        out.push((word(rest), rest[open..close].to_owned()));
    }
    out
}

/// Functions of the registry that wait and look into a lock or a map as well: they must be two.
fn guards(file: &str, text: &str) -> Vec<String> {
    if !file.starts_with("registry/") || is_test(file) {
        return Vec::new();
    }
    let waiting = functions(text).into_iter();
    let waiting = waiting.filter(|(_, body)| body.contains(".await"));
    let both = waiting.filter(|(_, body)| GUARDS.iter().any(|guard| body.contains(guard)));
    both.map(|(name, _)| format!("{file}: `{name}` waits and holds a guard"))
        .collect()
}

fn check(rule: impl Fn(&str, &str) -> Vec<String>) {
    let wrong: Vec<_> = sources()
        .iter()
        .flat_map(|(file, text)| rule(file, text))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn arrows_point_down() {
    check(upward);
}

#[test]
fn files_stay_small() {
    check(|file, text| too_long(file, text).into_iter().collect());
}

#[test]
fn files_say_what_they_own_and_refuse() {
    check(|file, text| bad_opening(file, text).into_iter().collect());
}

#[test]
fn serialization_stays_in_its_rooms() {
    check(|file, text| serializes(file, text).into_iter().collect());
}

#[test]
fn inv10_nobody_in_the_registry_waits_with_a_guard() {
    let waits = |(file, text): (&String, &String)| {
        let ours = file.starts_with("registry/") && !is_test(file);
        let functions = functions(text).into_iter();
        ours.then(|| {
            functions
                .filter(|(_, body)| body.contains(".await"))
                .count()
        })
    };
    let found: usize = sources().iter().filter_map(waits).sum();
    assert!(found >= 4, "the scan must find who waits: {found}");
    check(guards);
}

#[test]
fn the_engine_is_closed() {
    let files = sources();
    let found: Vec<_> = files
        .keys()
        .filter_map(|f| f.strip_prefix("agent/"))
        .collect();
    assert_eq!(found, ENGINE);
}

#[test]
fn architecture_md_names_every_room() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(text.lines().count() <= 250, "at most 250 lines");
    for file in sources().keys().filter(|f| f.contains('/')) {
        let folder = file.rsplit_once('/').unwrap().0;
        if folder.ends_with("/tests") || folder.contains("/tests/") {
            continue;
        }
        assert!(
            text.contains(&format!("{folder}/")),
            "ARCHITECTURE.md does not name `{folder}/`"
        );
    }
}

/// The names in backticks that `docs/reference-systems.md` uses as proof: files, and tests by their
/// long names.
fn proofs(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|name| name.ends_with(".rs") || name.matches('_').count() >= 3)
        .collect()
}

#[test]
fn reference_systems_md_proves_what_it_says() {
    let ledger = fs::read_to_string(root().join("docs/reference-systems.md")).unwrap();
    let mut code: String = sources().into_values().collect();
    let mut folders = vec![root().join("tests/all")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                code.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let found = |name: &str| match name.ends_with(".rs") {
        true => root().join(name).is_file(),
        false => code.contains(&format!("fn {name}()")),
    };
    let proofs = proofs(&ledger);
    assert!(proofs.len() >= 60, "the scan must find the proofs");
    let lost: Vec<_> = proofs.into_iter().filter(|name| !found(name)).collect();
    assert!(lost.is_empty(), "named but not there: {lost:?}");
}

/// The peers in the table that are not in the lock file with the same version.
fn unpinned<'a>(table: &'a str, lock: &str) -> Vec<&'a str> {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| "));
    let names = rows.filter_map(|row| row.split(" |").next()?.split_once(' '));
    let peers = names.filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()));
    let lost = peers.filter(|(name, version)| {
        // The crate that has the name of the whole may only be a front.
        ["", "-core"].iter().all(|end| {
            let pinned = format!("name = \"{name}{end}\"\nversion = \"{version}\"\n");
            !lock.contains(&pinned)
        })
    });
    lost.map(|(name, _)| name).collect()
}

#[test]
fn the_table_of_peers_names_the_versions_that_ran() {
    let read = |name| fs::read_to_string(root().join("benches/peers").join(name)).unwrap();
    let (table, lock) = (read("table.md"), read("Cargo.lock"));
    assert!(
        table.matches("\n| ").count() >= 4,
        "the scan must find the peers"
    );
    assert_eq!(unpinned(&table, &lock), [""; 0]);
    assert_eq!(unpinned("| genai 0.0.1 | 1 |", &lock), ["genai"]);
}

/// The rows of tests/twins.txt: row, tests, what is taken away, twin.
fn twins(text: &str) -> Vec<[&str; 4]> {
    let rows = text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    let cells = |line| {
        let cells: Vec<&str> = str::split(line, '|').map(str::trim).collect();
        cells
            .try_into()
            .unwrap_or_else(|_| panic!("four columns: {line}"))
    };
    rows.map(cells).collect()
}

/// Whether a test bears the name of a fault row or an invariant.
fn is_numbered(test: &str) -> bool {
    let name = test.rsplit("::").next().unwrap_or(test);
    name.split('_').any(|word| {
        let digits = word.trim_start_matches(|c: char| c.is_ascii_lowercase());
        let what = &word[..word.len() - digits.len()];
        let numbered = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
        numbered && ["p", "t", "a", "x", "inv"].contains(&what)
    }) || name.starts_with("invariant")
}

fn is_twin(test: &str) -> bool {
    test.rsplit("::")
        .next()
        .is_some_and(|name| name.contains("twin"))
}

/// What is wrong with a table of twins beside a list of tests.
fn untwinned(table: &str, tests: &[&str]) -> Vec<String> {
    let rows = twins(table);
    let named = |row: &[&str; 4], test: &str| match row[1].strip_suffix('*') {
        Some(start) => test.starts_with(start) && !is_twin(test),
        None => test == row[1],
    };
    let mut wrong = Vec::new();
    for row in &rows {
        if !tests.iter().any(|test| named(row, test)) {
            wrong.push(format!("no such test: {}", row[1]));
        }
        match row[3].strip_prefix("none:") {
            Some(why) if why.trim().is_empty() => wrong.push(format!("no reason: {}", row[1])),
            None if !tests.contains(&row[3]) || !is_twin(row[3]) => {
                wrong.push(format!("no such twin: {}", row[3]));
            }
            _ => {}
        }
    }
    for test in tests {
        let twin = is_twin(test);
        if twin && !rows.iter().any(|row| row[3] == *test && !row[2].is_empty()) {
            wrong.push(format!("a twin of nothing: {test}"));
        }
        if !twin && is_numbered(test) && !rows.iter().any(|row| named(row, test)) {
            wrong.push(format!("a fault test without a row: {test}"));
        }
    }
    wrong
}

#[test]
fn every_fault_test_has_a_row_and_what_removes_its_defence() {
    let read = |name| fs::read_to_string(root().join("tests").join(name)).unwrap();
    let (table, list) = (read("twins.txt"), read("expected.txt"));
    let wrong = untwinned(&table, &list.lines().collect::<Vec<_>>());
    assert!(wrong.is_empty(), "tests/twins.txt:\n{}", wrong.join("\n"));
}

#[test]
fn the_scan_is_awake() {
    assert!(sources().len() >= 40, "the scan must find the sources");
    let up = "use crate::{\n    error::Error,\n    session::{Session, SessionHandle},\n};";
    assert_eq!(upward("http/mod.rs", up).len(), 1);
    assert_eq!(
        upward("hook/mod.rs", "fn f(x: crate::provider::Model) {}").len(),
        1
    );
    assert_eq!(
        upward(
            "hook/mod.rs",
            "// crate::provider\nuse crate::message::Message;"
        )
        .len(),
        0
    );
    let beside = |file: &str, other: &str| upward(file, &format!("use crate::{other}::X;")).len();
    assert_eq!(beside("registry/seat.rs", "scope"), 0, "a named neighbour");
    assert_eq!(beside("scope/mod.rs", "registry"), 1, "and not back");
    assert_eq!(
        upward("cellar/mod.rs", "").len(),
        1,
        "a room without a floor"
    );
    assert!(too_long("a.rs", &"x\n".repeat(501)).is_some());
    assert!(too_long("agent/turn.rs", &"x\n".repeat(401)).is_some());
    let held = "async fn f(&self) { let s = self.state(); s.bell.after(1).await; }\nfn g() {}";
    assert_eq!(guards("registry/a.rs", held).len(), 1);
    let apart = "fn f(&self) -> u8 { self.state().mark }\nasync fn g() { after(f()).await; }";
    assert_eq!(guards("registry/a.rs", apart).len(), 0);
    assert_eq!(guards("agent/a.rs", held).len(), 0, "another room");
    assert!(bad_opening("a.rs", "use std::fmt;").is_some());
    assert!(bad_opening("a.rs", "//! Owns.\n//! Also owns.").is_some());
    assert!(serializes("scope.rs", "#[derive(Serialize)] struct A;").is_some());

    let table = "P1 | a::p1_* | the defence | a::p1_twin";
    assert_eq!(
        untwinned(table, &["a::p1_it_waits", "a::p1_twin", "b::other"]),
        [""; 0]
    );
    for (table, tests, wrong) in [
        (table, &["a::p1_it_waits"][..], "no such twin: a::p1_twin"),
        (table, &["a::p1_twin"], "no such test: a::p1_*"),
        (
            table,
            &["a::p1_x", "a::p1_twin", "a::twin_b"],
            "a twin of nothing: a::twin_b",
        ),
        (
            table,
            &["a::p1_x", "a::p1_twin", "a::inv07_x"],
            "a fault test without a row: a::inv07_x",
        ),
        (
            "P1 | a::p1_x | | none: ",
            &["a::p1_x"],
            "no reason: a::p1_x",
        ),
        (
            "P1 | a::p1_x | | a::p1_x",
            &["a::p1_x"],
            "no such twin: a::p1_x",
        ),
    ] {
        assert_eq!(untwinned(table, tests), [wrong]);
    }
}
