//! The walk and its limits, and names of every byte, on real folders.
//! Refuses the tools; they are tested through their own door.

#![expect(clippy::disallowed_methods, reason = "tests prepare real files")]

use std::{collections::BTreeSet, fs, ops::ControlFlow, path::Path, time::Duration};

use super::*;
use crate::scope::Scope;

fn walk(workspace: &Workspace, start: &str, limits: Limits) -> (Vec<String>, Ended) {
    walk_in(workspace, start, limits, &Scope::root())
}

fn walk_in(
    workspace: &Workspace,
    start: &str,
    limits: Limits,
    scope: &Scope,
) -> (Vec<String>, Ended) {
    let stop = Stop::within(scope.clone(), limits.time);
    let start = workspace.resolve(start).unwrap();
    let walk = Walk {
        workspace,
        start: &start,
        limits,
        stop: &stop,
        keep: &|_, _| true,
    };
    let mut seen = Vec::new();
    let ended = walk.run(&mut |found| {
        seen.push(shown(found.path));
        ControlFlow::Continue(())
    });
    (seen, ended.unwrap())
}

#[test]
fn a_walk_is_sorted_and_leaves_out_what_ignore_files_say() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for dir in ["b/deep", "a", "kept/target", "out/x", ".git/info"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    for (file, text) in [
        (".gitignore", "\u{FEFF}*.log\n/out\n!keep.log\n[broken\n"),
        (".git/info/exclude", "secret*\nkeep.log\n"),
        ("b/.gitignore", "!b.log\n/deep/x\n"),
        ("b/.ignore", "y\n"),
        ("a/a.log", ""),
        ("a/keep.log", ""),
        ("a/secrets", ""),
        ("b/b.log", ""),
        ("b/deep/x", ""),
        ("b/deep/y", ""),
        ("b/deep/z", ""),
        ("kept/target/x", ""),
        ("out/x/1", ""),
    ] {
        fs::write(root.join(file), text).unwrap();
    }
    let workspace = Workspace::open(root).unwrap();
    let (seen, ended) = walk(&workspace, ".", Limits::DEFAULT);
    let seen: Vec<_> = seen.iter().filter(|p| !p.contains(".git")).collect();
    assert_eq!(ended, Ended::Whole);
    assert_eq!(
        seen,
        [
            "a",
            "b",
            "kept",
            "a/keep.log",
            "b/.ignore",
            "b/b.log",
            "b/deep",
            "b/deep/z",
            "kept/target",
            "kept/target/x"
        ]
    );
    // A folder that somebody names is looked into, and rules from above still hold in it.
    assert_eq!(
        walk(&workspace, "out", Limits::DEFAULT).0,
        ["out/x", "out/x/1"]
    );
    assert_eq!(walk(&workspace, "b/deep", Limits::DEFAULT).0, ["b/deep/z"]);
}

#[test]
fn a_walk_stops_at_each_limit_and_says_which() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..300 {
        fs::create_dir_all(folder.path().join(format!("d{n:03}"))).unwrap();
        fs::write(folder.path().join(format!("d{n:03}/f")), "").unwrap();
    }
    let workspace = Workspace::open(folder.path()).unwrap();
    let few = Limits {
        entries: 350,
        ..Limits::DEFAULT
    };
    let (seen, ended) = walk(&workspace, ".", few);
    assert_eq!((seen.len(), ended), (350, Ended::Entries));
    let exact = Limits {
        entries: 600,
        ..Limits::DEFAULT
    };
    let (seen, ended) = walk(&workspace, ".", exact);
    assert_eq!(
        (seen.len(), ended),
        (600, Ended::Whole),
        "none too few at the limit itself"
    );
    let no_time = Limits {
        time: Duration::ZERO,
        ..Limits::DEFAULT
    };
    assert_eq!(walk(&workspace, ".", no_time).1, Ended::Time);
    let scope = Scope::root();
    scope.cancel();
    assert_eq!(
        walk_in(&workspace, ".", Limits::DEFAULT, &scope).1,
        Ended::Cancelled
    );
}

#[test]
fn a_deep_tree_costs_no_descriptors_and_no_stack() {
    let folder = tempfile::tempdir().unwrap();
    let mut deep = folder.path().to_owned();
    for _ in 0..900 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("f"), "x").unwrap();
    let workspace = Workspace::open(folder.path()).unwrap();
    let (seen, ended) = walk(&workspace, ".", Limits::DEFAULT);
    assert_eq!((seen.len(), ended), (901, Ended::Whole));
}

#[test]
fn names_are_shown_on_one_line() {
    let table = [
        ("", "."),
        ("a/b", "a/b"),
        ("/a//b/", "/a/b"),
        ("a\nb/\u{1b}[2J", "a\\nb/\\u{1b}[2J"),
        ("x\u{202e}gpj.exe", "x\\u{202e}gpj.exe"),
        ("ä ö", "ä ö"),
    ];
    for (path, expected) in table {
        assert_eq!(shown(Path::new(path)), expected);
    }
}

#[test]
#[cfg(unix)]
fn every_byte_of_a_name_round_trips_or_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let workspace = Workspace::open(folder.path()).unwrap();
    let mut refused = BTreeSet::new();
    for byte in 0..=255_u8 {
        let name = [b'n', byte, b'x'];
        let path = folder.path().join(std::ffi::OsStr::from_bytes(&name));
        if byte != 0 && byte != b'/' {
            fs::write(&path, [byte]).unwrap();
        }
        let Ok(text) = std::str::from_utf8(&name) else {
            // Cannot be said in JSON at all; listing it must not fail.
            continue;
        };
        match workspace.resolve(text) {
            Ok(path) if byte == b'/' => {
                assert!(matches!(
                    workspace.read(&path, 9),
                    Err(WorkError::Missing { .. })
                ));
            }
            Ok(path) => assert_eq!(workspace.read(&path, 9).unwrap(), [byte], "{byte}"),
            Err(WorkError::Spelling { .. }) => {
                refused.insert(byte);
            }
            Err(error) => panic!("{byte}: {error}"),
        }
    }
    assert_eq!(refused, BTreeSet::from([0]));
    let (seen, _) = walk(&workspace, ".", Limits::DEFAULT);
    assert_eq!(seen.len(), 254);
    assert!(seen.iter().all(|name| name.lines().count() == 1));
}

/// Row X5: what a walk opens may have been swapped for a pipe since its folder was read, so opening
/// by itself must neither wait nor succeed.
#[test]
#[cfg(unix)]
fn opening_a_pipe_does_not_wait() {
    use std::os::unix::net::UnixListener;
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
    std::os::unix::fs::symlink("pipe", folder.path().join("link")).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let (opened, hear) = std::sync::mpsc::channel();
    let workspace = Workspace::open(folder.path()).unwrap();
    let thread = std::thread::spawn(move || {
        for name in ["pipe", "socket", "link", "folder"] {
            let name = Path::new(name);
            let result = workspace.open_in(&workspace.0.dir, name, name);
            opened.send(result.map(drop)).unwrap();
        }
    });
    let next = || hear.recv_timeout(Duration::from_secs(5)).expect("it waits");
    assert!(matches!(next(), Err(WorkError::Special { .. })));
    assert!(matches!(next(), Err(WorkError::Special { .. })));
    assert!(next().is_err(), "a link is not followed here");
    assert!(matches!(next(), Err(WorkError::Folder { .. })));
    thread.join().unwrap();
}
