//! Containment: whatever a path is spelt like, links to, or is swapped for, nothing outside is seen.
//! Refuses mocks: real folders, real links, real pipes. Rows X1, X2, X3, X5, X6, X8.

#![expect(clippy::print_stdout, reason = "figures of proofs, for people who ask")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests prepare real files and race against them with real threads"
)]

mod twins;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use offshoot::{Content, Outcome, Tool, ToolContext, WorkError, Workspace, tools};
use serde_json::{Value, json};

/// In every file outside, and in no other.
const CANARY: &str = "canary-7f3a";

/// `outer/root` is the workspace; beside it lies what nobody may see.
struct Place {
    outer: tempfile::TempDir,
    tools: Vec<Arc<dyn Tool>>,
}

impl Place {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        for dir in ["root/a/b", "root-evil", "out/deep"] {
            fs::create_dir_all(outer.path().join(dir)).unwrap();
        }
        for file in [
            "secret",
            "root-evil/secret",
            "out/secret",
            "out/deep/secret",
        ] {
            fs::write(outer.path().join(file), CANARY).unwrap();
        }
        for file in ["root/file", "root/a/file", "root/a/b/file"] {
            fs::write(outer.path().join(file), "inside\n").unwrap();
        }
        let tools = tools::read_only(outer.path().join("root")).unwrap();
        Self { outer, tools }
    }

    fn root(&self) -> PathBuf {
        fs::canonicalize(self.outer.path().join("root")).unwrap()
    }

    fn out(&self) -> PathBuf {
        fs::canonicalize(self.outer.path().join("out")).unwrap()
    }

    async fn call(&self, name: &str, input: Value) -> (Outcome, String) {
        let tool = self.tools.iter().find(|tool| tool.spec().name == name);
        let output = tool.unwrap().call(ToolContext::detached("1"), input).await;
        let mut text = String::new();
        for content in &output.content {
            match content {
                Content::Text(part) => text.push_str(part),
                other => text.push_str(&format!("{other:?}")),
            }
        }
        (output.outcome, text)
    }
}

/// Each tool with a path put where it takes one.
fn at(path: &str) -> [(&'static str, Value); 5] {
    [
        ("Read", json!({"file_path": path})),
        ("LS", json!({"path": path})),
        ("Glob", json!({"path": path, "pattern": "**/*"})),
        (
            "Grep",
            json!({"path": path, "pattern": ".", "output_mode": "content"}),
        ),
        ("Grep", json!({"path": path, "pattern": "canary"})),
    ]
}

fn escapes(root: &Path) -> Vec<String> {
    let root = root.to_str().unwrap();
    let mut list: Vec<String> = Vec::new();
    for depth in 1..=12 {
        let up = "../".repeat(depth);
        list.push(format!("{up}secret"));
        list.push(format!("{up}etc/passwd"));
        list.push(format!("a/b/../../{up}secret"));
        list.push(format!("./{up}./secret"));
        list.push(up.replace('/', "//") + "secret");
        list.push(up.replace('/', "\\") + "secret");
    }
    for text in [
        "..",
        "../",
        "../.",
        "./..",
        "a/../..",
        "a/./../../secret",
        "../root/../secret",
        "../root-evil",
        "../root-evil/secret",
        "../out",
        "../out/deep",
        "a/b/../../../out/secret",
        "/",
        "//",
        "/.",
        "/..",
        "/etc",
        "/etc/passwd",
        "//etc/passwd",
        "///etc/passwd",
        "/./etc/passwd",
        "/../etc/passwd",
        "/tmp",
        "/tmp/",
        "/root/.ssh/id_rsa",
        "/home",
        "/proc/self/environ",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd",
        "/dev/zero",
        "/dev/stdin",
        "/dev/fd/0",
        "/sys/kernel",
        "~",
        "~/",
        "~/.ssh/id_rsa",
        "~root",
        "~root/.bashrc",
        "~+",
        "~-",
        "",
        " ",
        "  ../secret",
        "%2e%2e/secret",
        "%2e%2e%2fsecret",
        "..%2fsecret",
        "%252e%252e%252fsecret",
        "..%c0%afsecret",
        "%c0%ae%c0%ae/secret",
        "..%5csecret",
        "%00",
        "../secret%00.txt",
        "\0",
        "file\0",
        "../secret\0.txt",
        "a\0/../..",
        "..\\secret",
        "..\\..\\secret",
        "a\\..\\..\\secret",
        "a/..\\../secret",
        "\\secret",
        "\\\\server\\share\\x",
        "\\\\?\\C:\\x",
        "\\\\.\\pipe\\x",
        "//server/share",
        "C:",
        "C:\\",
        "C:\\Windows\\win.ini",
        "c:/windows/win.ini",
        "Z:/secret",
        "file:///etc/passwd",
        "file://secret",
        "http://localhost/",
        "....//secret",
        "..../secret",
        "..;/secret",
        ".. /secret",
        " ..",
        "..\n/secret",
        "\u{2024}\u{2024}/secret",
        "\u{ff0e}\u{ff0e}/secret",
        "\u{2025}/secret",
        "..\u{2215}secret",
        "..\u{200b}/secret",
        "../secret\u{202e}",
        "$HOME/.ssh",
        "${HOME}",
        "$(pwd)/../secret",
        "`pwd`",
        "a/../../root-evil/secret",
        "*",
        "../*",
        "{..,a}/secret",
        "-",
        "--",
        "-rf",
        "CON",
        "nul",
        "file/../../secret",
        "missing/../../secret",
    ] {
        list.push(text.to_owned());
    }
    for text in [
        "-evil",
        "-evil/secret",
        "/..",
        "/../secret",
        "/../root/../secret",
        "/../root-evil/secret",
        "/a/../../secret",
        "/a/../../out/deep/secret",
        "/../../etc/passwd",
        "/./../out",
        "/../root/file",
        "x/secret",
    ] {
        list.push(format!("{root}{text}"));
    }
    list.push("a/".repeat(2500) + "x");
    list.push("../".repeat(1600) + "secret");
    list.push("x".repeat(5000));
    list.push(format!("{root}/{}", "y".repeat(4096)));
    list.push("x".repeat(300)); // longer than a name may be
    list
}

/// Row X1, for each tool.
#[tokio::test]
async fn x1_no_spelling_leads_out() {
    no_spelling_leads_out(&Place::new()).await;
}

async fn no_spelling_leads_out(place: &Place) {
    let inputs = escapes(&place.root());
    assert!(inputs.len() >= 100, "{}", inputs.len());
    let mut calls = 0;
    for path in &inputs {
        for (tool, input) in at(path) {
            let (outcome, text) = place.call(tool, input).await;
            assert_eq!(outcome, Outcome::Failed, "{tool} {path:?}: {text}");
            assert!(!text.contains(CANARY), "{tool} {path:?}: {text}");
            assert!(text.len() < 10_000, "{tool} {path:?}: a long complaint");
            assert_eq!(text.lines().count(), 1, "{tool} {path:?}: {text}");
            calls += 1;
        }
        // Where a pattern is taken, the same texts find nothing outside.
        for input in [
            json!({"pattern": path}),
            json!({"pattern": format!("{path}/**")}),
        ] {
            let (_, text) = place.call("Glob", input).await;
            let found = text.lines().filter(|line| line.ends_with("secret"));
            assert_eq!(found.count(), 0, "Glob {path:?}: {text}");
        }
        let input = json!({"pattern": "canary", "glob": path, "output_mode": "content"});
        let (_, text) = place.call("Grep", input).await;
        assert!(!text.contains(CANARY), "Grep {path:?}: {text}");
    }
    assert_eq!(calls, inputs.len() * 5);
}

/// The other side of row X1: a workspace that refused everything would pass it.
#[tokio::test]
async fn x1_every_honest_spelling_is_taken() {
    let place = Place::new();
    let root = place.root();
    let given = place.outer.path().join("root");
    let honest = [
        "file".to_owned(),
        "./file".into(),
        "a/../file".into(),
        "missing/../file".into(),
        "a//b/./../../file".into(),
        format!("{}/file", root.display()),
        format!("{}/a/../file", root.display()),
        format!("{}//file", root.display()),
        format!("{}/file", given.display()),
    ];
    for path in honest {
        let (outcome, text) = place.call("Read", json!({"file_path": path})).await;
        assert_eq!((outcome, &*text), (Outcome::Ok, "     1→inside"), "{path}");
    }
    for path in [".", "./", "a/..", &root.display().to_string()] {
        let (outcome, text) = place.call("LS", json!({"path": path})).await;
        assert_eq!(outcome, Outcome::Ok, "{path}: {text}");
        assert!(
            text.ends_with("3 files, 2 folders, 21 bytes"),
            "{path}: {text}"
        );
    }
    for name in ["~draft", "..x", "x..", "a:b", "b\\c", "%2e%2e", "…", "-"] {
        fs::write(root.join(name), "inside\n").unwrap();
        let (outcome, text) = place
            .call("Read", json!({"file_path": format!("./{name}")}))
            .await;
        assert_eq!((outcome, &*text), (Outcome::Ok, "     1→inside"), "{name}");
    }
}

/// What a refusal says by type, not by its words.
#[test]
fn refusals_are_typed() {
    let place = Place::new();
    let workspace = Workspace::open(place.root()).unwrap();
    let why = |path: &str| workspace.resolve(path).unwrap_err();
    assert!(matches!(why("../x"), WorkError::Outside { .. }));
    assert!(matches!(why("/etc/passwd"), WorkError::Outside { .. }));
    for path in ["", "~", "x\0", "C:\\x", "..\\x", &"x".repeat(4097)] {
        assert!(matches!(why(path), WorkError::Spelling { .. }), "{path}");
    }
    let read = |path: &str| workspace.read(&workspace.resolve(path).unwrap(), 3);
    assert!(matches!(read("none"), Err(WorkError::Missing { .. })));
    assert!(matches!(read("a"), Err(WorkError::Folder { .. })));
    assert!(matches!(read("file/x"), Err(WorkError::NotFolder { .. })));
    assert!(matches!(
        read("file"),
        Err(WorkError::TooLarge {
            size: 7,
            limit: 3,
            ..
        })
    ));
    assert!(Workspace::open(place.root().join("file")).is_err());
    assert!(Workspace::open(place.root().join("none")).is_err());
}

/// Row X2: links out are refused by every tool, links inside work.
#[cfg(unix)]
#[tokio::test]
async fn x2_no_link_leads_out() {
    no_link_leads_out(&Place::new()).await;
}

#[cfg(unix)]
async fn no_link_leads_out(place: &Place) {
    use std::os::unix::fs::symlink;
    let (root, out) = (place.root(), place.out());
    symlink("../out/secret", root.join("rel-file")).unwrap();
    symlink(out.join("secret"), root.join("abs-file")).unwrap();
    symlink("../out", root.join("rel-dir")).unwrap();
    symlink(&out, root.join("abs-dir")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink("/", root.join("slash")).unwrap();
    symlink("../out/new", root.join("dangling-out")).unwrap();
    symlink("none", root.join("dangling-in")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("../../../out", root.join("a/b/nested")).unwrap();
    symlink("a/b/nested", root.join("via")).unwrap();
    symlink("/proc/self/root", root.join("magic")).unwrap();
    symlink("/proc/self/fd", root.join("fds")).unwrap();
    // The way out stands at the end of a chain: of three, and of more than the kernel follows.
    for (name, length) in [("three", 3), ("many", 41)] {
        for n in 0..length {
            symlink(format!("{name}{}", n + 1), root.join(format!("{name}{n}"))).unwrap();
        }
        symlink("../out/secret", root.join(format!("{name}{length}"))).unwrap();
    }
    let bad = [
        "rel-file",
        "abs-file",
        "rel-dir",
        "abs-dir",
        "up",
        "slash",
        "dangling-out",
        "dangling-in",
        "loop",
        "a/b/nested",
        "via",
        "magic",
        "fds",
        "three0",
        "many0",
        "rel-dir/secret",
        "rel-dir/deep",
        "rel-dir/deep/secret",
        "abs-dir/secret",
        "up/secret",
        "up/root/file",
        "slash/etc/passwd",
        "a/b/nested/secret",
        "via/secret",
        "via/deep/secret",
        "magic/etc/passwd",
        "fds/0",
        "loop/x",
        "rel-file/x",
    ];
    for path in bad {
        for (tool, input) in at(path) {
            let (outcome, text) = place.call(tool, input).await;
            assert_eq!(outcome, Outcome::Failed, "{tool} {path}: {text}");
            assert!(!text.contains(CANARY), "{tool} {path}: {text}");
        }
    }
    // Nor does a walk of the whole follow any of them.
    let (_, found) = place.call("Glob", json!({"pattern": "**/*"})).await;
    assert_eq!(found.lines().last(), Some("(3 files)"), "{found}");
    let grep = json!({"pattern": ".", "output_mode": "count"});
    let (_, found) = place.call("Grep", grep).await;
    assert_eq!(
        found.lines().last(),
        Some("(3 matches in 3 files)"),
        "{found}"
    );
    // The other side: links that stay inside are as good as what they lead to.
    symlink("../file", root.join("a/to-file")).unwrap();
    symlink("a/b", root.join("to-dir")).unwrap();
    symlink("to-dir", root.join("to-to-dir")).unwrap();
    for path in ["a/to-file", "to-dir/file", "to-to-dir/file"] {
        let (outcome, text) = place.call("Read", json!({"file_path": path})).await;
        assert_eq!((outcome, &*text), (Outcome::Ok, "     1→inside"), "{path}");
    }
    let (_, text) = place.call("LS", json!({"path": "to-to-dir"})).await;
    assert!(text.ends_with("1 files, 0 folders, 7 bytes"), "{text}");
}

/// How long the race of row X3 is run for each tool.
#[cfg(unix)]
fn race_time() -> Duration {
    match std::env::var("OFFSHOOT_PROOF").as_deref() {
        Ok("full") => Duration::from_secs(60),
        _ => Duration::from_millis(400),
    }
}

/// Swaps two names between inside and outside as fast as it can: `p` is a link to either, `q` is a
/// real folder or a link out.
#[cfg(unix)]
struct Swapper {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[cfg(unix)]
impl Swapper {
    fn start(place: &Place) -> Self {
        use std::os::unix::fs::symlink;
        let root = place.root();
        fs::create_dir(root.join("in")).unwrap();
        fs::write(root.join("in/f"), "inside\n").unwrap();
        fs::write(place.out().join("f"), format!("{CANARY}\n")).unwrap();
        fs::create_dir(root.join("q")).unwrap();
        fs::write(root.join("q/f"), "inside\n").unwrap();
        symlink("in", root.join("p")).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let swaps = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (stop.clone(), swaps.clone());
        let thread = std::thread::spawn(move || {
            let mut out = true;
            while !stopped.load(Ordering::Relaxed) {
                let target = if out { "../out" } else { "in" };
                symlink(target, root.join("p-next")).unwrap();
                fs::rename(root.join("p-next"), root.join("p")).unwrap();
                if out {
                    fs::rename(root.join("q"), root.join("q-parked")).unwrap();
                    symlink("../out", root.join("q")).unwrap();
                } else {
                    fs::remove_file(root.join("q")).unwrap();
                    fs::rename(root.join("q-parked"), root.join("q")).unwrap();
                }
                out = !out;
                counted.fetch_add(2, Ordering::Relaxed);
            }
        });
        Self {
            stop,
            swaps,
            thread: Some(thread),
        }
    }
}

#[cfg(unix)]
impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(|thread| thread.join());
        assert!(matches!(ended, Some(Ok(()))), "the swapper broke");
    }
}

/// Row X3: however a name is swapped between check and use, no tool sees what lies outside.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x3_a_swapped_link_leads_nowhere() {
    let place = Place::new();
    let swapper = Swapper::start(&place);
    let table = [
        ("Read", json!({"file_path": "p/f"})),
        ("Read", json!({"file_path": "q/f"})),
        ("LS", json!({"path": "q"})),
        ("LS", json!({})),
        ("Glob", json!({"path": "p", "pattern": "**/*"})),
        ("Glob", json!({"pattern": "{p,q}/**"})),
        (
            "Grep",
            json!({"path": "q", "pattern": ".", "output_mode": "content"}),
        ),
        ("Grep", json!({"pattern": ".", "output_mode": "content"})),
    ];
    let mut total = 0;
    for (tool, input) in table {
        let end = Instant::now() + race_time();
        let (mut seen, mut calls) = (0, 0);
        while Instant::now() < end {
            let (outcome, text) = place.call(tool, input.clone()).await;
            assert!(
                !text.contains(CANARY) && !text.contains("secret") && !text.contains("deep"),
                "{tool} {input} after {calls} calls: {text}"
            );
            calls += 1;
            seen += u64::from(outcome == Outcome::Ok);
        }
        assert!(
            seen > 0,
            "{tool} {input}: nothing inside was seen in {calls} calls"
        );
        total += calls;
    }
    let swaps = swapper.swaps.load(Ordering::Relaxed);
    println!("{total} calls against {swaps} swaps");
    assert!(
        swaps > 100 && total > 100,
        "no race: {total} calls, {swaps} swaps"
    );
}

/// The twin of row X3: the same race catches a reader that checks a path and then opens it.
#[cfg(unix)]
#[test]
fn x3_twin_check_then_open_is_caught() {
    let place = Place::new();
    let root = place.root();
    let _swapper = Swapper::start(&place);
    let check_then_open = |path: &str| {
        let real = fs::canonicalize(root.join(path)).ok()?;
        if !real.starts_with(&root) {
            return None;
        }
        fs::read_to_string(root.join(path)).ok()
    };
    let end = Instant::now() + Duration::from_secs(5);
    let mut tries = 0_u64;
    loop {
        tries += 1;
        let caught = ["p/f", "q/f"]
            .into_iter()
            .filter_map(check_then_open)
            .any(|text| text.contains(CANARY));
        if caught {
            println!("caught after {tries} tries");
            return;
        }
        assert!(
            Instant::now() < end,
            "the race of X3 catches nothing: {tries} tries"
        );
    }
}

/// Row X5: what is no regular file is refused, at once.
#[cfg(unix)]
#[tokio::test]
async fn x5_special_files_are_refused_and_nobody_hangs() {
    use std::os::unix::{fs::symlink, net::UnixListener};
    let place = Place::new();
    let root = place.root();
    let made = std::process::Command::new("mkfifo")
        .arg(root.join("pipe"))
        .status();
    assert!(made.unwrap().success());
    let _listener = UnixListener::bind(root.join("socket")).unwrap();
    symlink("pipe", root.join("to-pipe")).unwrap();
    let mut paths: Vec<String> = ["pipe", "socket", "to-pipe", "pipe/x", "socket/x"]
        .map(str::to_owned)
        .to_vec();
    let special = [
        "/dev/zero",
        "/dev/null",
        "/dev/random",
        "/dev/urandom",
        "/dev/tty",
        "/dev/full",
        "/dev/stdin",
        "/dev/fd/0",
        "/dev/fd",
        "/dev",
        "/proc/self/environ",
        "/proc/self/mem",
        "/proc/self/root",
        "/proc/self/cwd",
        "/proc/self/exe",
        "/proc/self/fd/0",
        "/proc/self/fd/1",
        "/proc/1/environ",
        "/proc/kmsg",
        "/proc",
        "/sys/kernel",
        "/sys",
    ];
    for (n, target) in special.into_iter().enumerate() {
        let link = format!("link{n}");
        symlink(target, root.join(&link)).unwrap();
        paths.push(target.to_owned());
        paths.push(link);
    }
    assert!(paths.len() >= 25);
    for path in &paths {
        is_refused(&place, path).await;
    }
    // A walk passes them all over.
    let (_, text) = place.call("Grep", json!({"pattern": "."})).await;
    assert!(text.ends_with("(3 files)"), "{text}");
    let (_, text) = place.call("LS", json!({})).await;
    assert!(text.contains("\n  pipe (special)\n") && text.contains("\n  socket (special)\n"));
}

#[cfg(unix)]
async fn is_refused(place: &Place, path: &str) {
    for (tool, input) in at(path) {
        let start = Instant::now();
        let called = tokio::time::timeout(Duration::from_secs(10), place.call(tool, input));
        let (outcome, text) = called
            .await
            .unwrap_or_else(|_| panic!("{tool} {path} hangs"));
        assert_eq!(outcome, Outcome::Failed, "{tool} {path}: {text}");
        // The row asks for 100 ms; the rest is for machines that are busy with other tests.
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{tool} {path}: too slow"
        );
    }
}

/// Row X5 where everything is inside: files that tell of this process are no files.
#[cfg(target_os = "linux")]
#[test]
fn x5_the_whole_machine_as_a_workspace_still_has_no_proc() {
    let workspace = Workspace::open("/").unwrap();
    let read = |path: &str| workspace.read(&workspace.resolve(path).unwrap(), 1 << 20);
    for path in [
        "/proc/self/environ",
        "proc/self/status",
        "/sys/kernel/mm",
        "/dev/zero",
    ] {
        assert!(
            matches!(
                read(path),
                Err(WorkError::Special { .. } | WorkError::Folder { .. })
            ),
            "{path}: {:?}",
            read(path)
        );
    }
    let place = Place::new();
    let inside = place.root().join("file");
    assert_eq!(read(inside.to_str().unwrap()).unwrap(), b"inside\n");
    for root in ["/proc", "/proc/self", "/sys"] {
        assert!(Workspace::open(root).is_err(), "{root}");
    }
}

/// Row X8: fifty patterns that are wrong, huge or hostile: bounded in time, and inside.
#[tokio::test]
async fn x8_no_pattern_is_too_much() {
    no_pattern_is_too_much(&Place::new()).await;
}

async fn no_pattern_is_too_much(place: &Place) {
    let root = place.root();
    for n in 0..300 {
        fs::write(
            root.join(format!("a/{n}.txt")),
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\n",
        )
        .unwrap();
    }
    let mut globs: Vec<String> = [
        "../**",
        "../../**/*",
        "**/../**",
        "a/../../**",
        "{..,a}/**",
        "/**",
        "/etc/*",
        "//etc/**",
        "[",
        "{",
        "}",
        "a{b",
        "[z-a]",
        "\\",
        "**",
        "***",
        "**/**",
        "*/*/*/*/*",
        "",
        "\0",
        "[!]",
        "{,}",
        "{a,{b,{c,{d}}}}",
        "~/*",
    ]
    .map(str::to_owned)
    .to_vec();
    globs.push("{a,b}".repeat(200));
    globs.push("{".repeat(500));
    globs.push("{a,".repeat(170) + &"}".repeat(170));
    globs.push("**/".repeat(300) + "x");
    globs.push("*a".repeat(500));
    globs.push("?".repeat(1024));
    globs.push("x".repeat(1 << 20));
    globs.push("[a-z]".repeat(200));
    let regexes = [
        "(a+)+$".to_owned(),
        "(a|aa)+$".into(),
        "(a|a?)+$".into(),
        "(.*)*$".into(),
        "(x+x+)+y".into(),
        "a{1000}".into(),
        "(a{1000}){1000}".into(),
        "((((a{100}){100}){100}){100})".into(),
        "(".repeat(300),
        "[".into(),
        "\\".into(),
        "(?=a)".into(),
        "(a)\\1".into(),
        "\\n".into(),
        "(?s).*".into(),
        "\\p{L}{300}".into(),
        ".{0,900}x".into(),
        "a".repeat(5000),
        "(?i)é+|ß*".into(),
        "".into(),
        "$^".into(),
        "\\x00".into(),
    ];
    assert!(globs.len() + regexes.len() >= 50);
    let mut slowest = Duration::ZERO;
    let calls = globs
        .iter()
        .flat_map(|glob| {
            [
                ("Glob", json!({"pattern": glob})),
                (
                    "Grep",
                    json!({"pattern": "canary", "glob": glob, "output_mode": "content"}),
                ),
                ("LS", json!({"ignore": [glob]})),
            ]
        })
        .chain(regexes.iter().flat_map(|regex| {
            [
                ("Grep", json!({"pattern": regex, "output_mode": "count"})),
                (
                    "Grep",
                    json!({"pattern": regex, "output_mode": "content", "multiline": true}),
                ),
            ]
        }));
    for (tool, input) in calls {
        let start = Instant::now();
        let (_, text) = place.call(tool, input.clone()).await;
        let took = start.elapsed();
        slowest = slowest.max(took);
        let input: String = input.to_string().chars().take(100).collect();
        // The row asks for 2 s; the rest is for machines that are busy with other tests.
        assert!(took < Duration::from_secs(6), "{tool} {input}: {took:?}");
        assert!(!text.contains(CANARY), "{tool} {input}: {text}");
        assert!(!text.contains("panicked"), "{tool} {input}: {text}");
        let outside = text.lines().find(|line| line.ends_with("secret"));
        assert_eq!(outside, None, "{tool} {input}");
        assert!(text.len() < 120_000, "{tool} {input}: {} bytes", text.len());
    }
    println!("slowest: {slowest:?}");
}
