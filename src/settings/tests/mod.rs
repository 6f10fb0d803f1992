//! The parts of the settings room by themselves: front matter, kinds, rows, order, trust.
//! Refuses hostile folders, which are tested by the front door.

mod front;
mod trust;

use std::{fs, path::Path, time::Duration};

use super::*;
use crate::permission::{Mode, Rule};

/// Writes a file of a folder, and the folders above it.
fn put(folder: &Path, path: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).open(path);
    std::io::Write::write_all(&mut file.unwrap(), text.as_ref()).unwrap();
}

/// The settings of a project that is trusted as it stands.
fn trusted(folder: &Path) -> Settings {
    let places = Places::only(folder).unwrap();
    let mut trust = Trust::nothing();
    let first = places.load(&trust).unwrap();
    trust.trust(first.folder(), &first.found).unwrap();
    places.load(&trust).unwrap()
}

fn rules(rules: &[Rule]) -> Vec<String> {
    rules.iter().map(ToString::to_string).collect()
}

fn problems(settings: &Settings) -> Vec<String> {
    settings.problems.iter().map(ToString::to_string).collect()
}

const HOOK: &str = r#"{"hooks": {"PreToolUse": [
    {"matcher": "Edit|Write", "hooks": [{"type": "command", "command": "lint", "timeout": 1.5}]},
    {"hooks": [{"type": "command", "command": "log"}]}
]}}"#;

#[test]
fn later_files_win_and_lists_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let (home, own, project) = ("home/.claude", "home/own", "project");
    let all = |mode: &str, deny: &str| {
        format!(
            r#"{{"permissions": {{"allow": ["A{deny}"], "ask": ["Q{deny}"], "deny": ["D{deny}"],
                "defaultMode": "{mode}"}}, "env": {{"X": "{deny}", "Y{deny}": 1}}}}"#
        )
    };
    put(
        folder.path(),
        "home/.claude/settings.json",
        all("plan", "1"),
    );
    put(
        folder.path(),
        "home/own/settings.json",
        all("acceptEdits", "2"),
    );
    put(
        folder.path(),
        "project/.claude/settings.json",
        all("ask", "3"),
    );
    put(folder.path(), "project/.claude/settings.local.json", HOOK);
    put(
        folder.path(),
        "project/.offshoot/settings.json",
        all("plan", "4"),
    );
    put(folder.path(), "project/.offshoot/settings.local.json", HOOK);
    let places = Places::only(folder.path().join(project)).unwrap();
    let places = places
        .claude_home(folder.path().join(home))
        .own_home(folder.path().join(own));
    let mut trust = Trust::nothing();
    let before = places.load(&trust).unwrap();
    assert_eq!(before.standing(), Standing::New);
    assert_eq!(before.permissions.mode, Mode::AcceptEdits, "the user's own");
    assert_eq!(rules(&before.permissions.allow), ["A1", "A2"]);
    assert_eq!(rules(&before.permissions.ask), ["Q1", "Q2", "Q3", "Q4"]);
    assert_eq!(rules(&before.permissions.deny), ["D1", "D2", "D3", "D4"]);
    assert!(before.hooks.is_empty());
    assert_eq!(
        before.waiting().unwrap(),
        "not trusted yet, so these wait: \
         .claude/settings.json (1 allow rule, mode ask, 2 variables), \
         .claude/settings.local.json (2 hooks), \
         .offshoot/settings.json (1 allow rule, mode plan, 2 variables), \
         .offshoot/settings.local.json (2 hooks)"
    );
    trust.trust(before.folder(), &before.found).unwrap();
    let after = places.load(&trust).unwrap();
    assert_eq!(
        (after.standing(), after.waiting()),
        (Standing::Trusted, None)
    );
    assert_eq!(after.permissions.mode, Mode::Plan);
    assert_eq!(rules(&after.permissions.allow), ["A1", "A2", "A3", "A4"]);
    assert_eq!(rules(&after.permissions.deny), ["D1", "D2", "D3", "D4"]);
    let commands: Vec<_> = after.hooks.iter().map(|hook| hook.command()).collect();
    assert_eq!(
        commands,
        ["lint", "log"],
        "what stands in two files is meant once"
    );
    let lint = crate::hook::CommandHook::new("PreToolUse", "Edit|Write", "lint").unwrap();
    assert_eq!(
        after.hooks[0],
        lint.timeout(Duration::from_millis(1500)).unwrap()
    );
    assert!(
        !format!("{after:?}").contains("(\"X\""),
        "values are not shown"
    );
    let value = |name: &str| {
        let mut found = after.variables.iter().filter(|(had, _)| had == name);
        (found.next().unwrap().1.clone(), found.count())
    };
    assert_eq!(
        (value("X"), value("Y1")),
        (("4".into(), 0), ("1".into(), 0))
    );
    assert_eq!(problems(&after), [""; 0]);
}

#[test]
fn a_users_own_folder_counts_once_when_it_is_the_project() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), ".claude/settings.json", HOOK);
    let places = Places::only(home.path()).unwrap();
    let settings = places
        .claude_home(home.path().join(".claude"))
        .load(&Trust::nothing());
    let settings = settings.unwrap();
    assert_eq!((settings.hooks.len(), settings.found.len()), (2, 0));
    assert_eq!(settings.waiting(), None);
}

#[test]
fn what_is_wrong_in_a_file_is_named_and_the_rest_counts() {
    let folder = tempfile::tempdir().unwrap();
    put(
        folder.path(),
        ".claude/settings.json",
        r#"{"permissions": {"allow": ["Read", 5, "Bash(x"], "deny": ["Bash(rm *", "Write"], "ask": "x",
                "defaultMode": "yolo"},
            "hooks": {"PreTool": [{"hooks": [{"type": "command", "command": "a"}]}],
                "Stop": [{"matcher": 5}, 7, {"hooks": [{"type": "prompt", "prompt": "x"},
                    {"type": "command"}, {"type": "command", "command": "b", "timeout": -1},
                    {"type": "command", "command": "c", "timeout": 1e9},
                    {"type": "command", "command": "good"}]}],
                "PreToolUse": [{"matcher": "(", "hooks": [{"type": "command", "command": "d"}]}]},
            "env": {"A": "1", "B": [], "C=D": "x"}, "statusLine": {"any": "thing"}}"#,
    );
    let settings = trusted(folder.path());
    assert_eq!(rules(&settings.permissions.allow), ["Read"]);
    assert_eq!(
        rules(&settings.permissions.deny),
        ["Bash", "Write"],
        "a broken rule that narrows speaks of the whole tool"
    );
    assert_eq!(settings.permissions.mode, Mode::Ask);
    let commands: Vec<_> = settings.hooks.iter().map(|hook| hook.command()).collect();
    assert_eq!(commands, ["good"]);
    assert_eq!(settings.variables, [("A".into(), "1".into())]);
    let found = problems(&settings).join("\n");
    for part in [
        "a rule in `permissions.allow` is no text: `5`",
        "bad permission rule: `Bash(x`",
        "bad permission rule: `Bash(rm *`",
        "`ask` is no list",
        "unknown permission mode: `yolo`",
        "unknown hook event: `PreTool`",
        "a matcher of `hooks.Stop` is no text",
        "an entry of `hooks.Stop` is no object",
        "a hook of `Stop` is no command: `prompt`",
        "the command of a hook is empty",
        "bad timeout of a hook of `Stop`: `-1`",
        "bad timeout of a hook: `1000000000` s",
        "bad matcher of a hook: `(`",
        "the variable is no text: `B`",
        "bad variable: `C=D`",
    ] {
        assert!(found.contains(part), "{part}\n{found}");
    }
    assert_eq!(settings.problems.len(), 15, "{found}");
}

#[test]
fn lists_end_at_their_limits() {
    let folder = tempfile::tempdir().unwrap();
    let many = |n: usize, text: &str| vec![text.to_owned(); n].join(",");
    let hook = r#"{"type": "command", "command": "x"}"#;
    let text = format!(
        r#"{{"permissions": {{"deny": [{}]}}, "hooks": {{"Stop": [{{"hooks": [{}]}}]}}}}"#,
        many(MAX_RULES + 1, "\"R\""),
        many(MAX_HOOKS + 1, hook),
    );
    put(folder.path(), ".claude/settings.json", text);
    for n in 0..=MAX_KINDS {
        let text = format!("---\nname: k{n}\ndescription: d\n---\np");
        put(folder.path(), &format!(".claude/agents/{n:04}.md"), text);
    }
    let settings = trusted(folder.path());
    assert_eq!(settings.permissions.deny.len(), MAX_RULES);
    assert_eq!(settings.kinds.len(), MAX_KINDS);
    let found = problems(&settings);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn the_words_of_two_names_for_one_file_are_read_once() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "AGENTS.md", "\u{feff}Use tabs.\n");
    std::os::unix::fs::symlink("AGENTS.md", folder.path().join("CLAUDE.md")).unwrap();
    let settings = trusted(folder.path());
    let words: Vec<_> = settings
        .instructions
        .iter()
        .map(|i| (&*i.file, &*i.text))
        .collect();
    assert_eq!(words, [("AGENTS.md", "Use tabs.")]);
    assert_eq!(settings.found.len(), 2, "and both are watched");
}

#[test]
fn a_missing_project_is_an_error_and_a_bare_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let error = Places::only(folder.path().join("lost")).unwrap_err();
    assert!(error.to_string().starts_with("cannot open the folder"));
    let places = Places::only(folder.path()).unwrap();
    let bare = places
        .claude_home("/no/such")
        .own_home("/no/such")
        .load(&Trust::nothing());
    let bare = bare.unwrap();
    assert_eq!(
        (bare.standing(), bare.waiting(), bare.problems.len()),
        (Standing::Trusted, None, 0)
    );
}
