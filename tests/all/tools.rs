//! What each built-in tool answers, on real folders, and that their counts agree with the disk.
//! Refuses to test containment; see `workspace.rs`.

#![expect(clippy::print_stdout, reason = "figures of proofs, for people who ask")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests prepare real files and processes"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use offshoot::{
    Access, Content, Effect, Lane, MediaSource, Outcome, Tool, ToolContext, ToolOutput, ToolSet,
    tools,
};
use serde_json::{Value, json};

/// A folder and the tools at work in it.
struct Bench {
    folder: tempfile::TempDir,
    tools: Vec<Arc<dyn Tool>>,
}

impl Bench {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tools = tools::read_only(folder.path()).unwrap();
        let bench = Self { folder, tools };
        for (path, text) in files {
            bench.put(path, text);
        }
        bench
    }

    fn root(&self) -> PathBuf {
        fs::canonicalize(self.folder.path()).unwrap()
    }

    fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Makes a file this many seconds old.
    fn age(&self, path: &str, seconds: u64) {
        let file = fs::File::options()
            .write(true)
            .open(self.folder.path().join(path));
        let time = SystemTime::now() - Duration::from_secs(seconds);
        file.unwrap().set_modified(time).unwrap();
    }

    async fn call(&self, name: &str, input: Value) -> ToolOutput {
        let tool = self.tools.iter().find(|tool| tool.spec().name == name);
        tool.unwrap().call(ToolContext::detached("1"), input).await
    }

    async fn text(&self, name: &str, input: Value) -> (Outcome, String) {
        let output = self.call(name, input).await;
        match &output.content[..] {
            [Content::Text(text)] => (output.outcome, text.clone()),
            other => panic!("{name} did not answer with one text: {other:?}"),
        }
    }

    async fn ok(&self, name: &str, input: Value) -> String {
        let (outcome, text) = self.text(name, input).await;
        assert_eq!(outcome, Outcome::Ok, "{text}");
        text
    }

    async fn failed(&self, name: &str, input: Value) -> String {
        let (outcome, text) = self.text(name, input).await;
        assert_eq!(outcome, Outcome::Failed, "{text}");
        text
    }
}

#[test]
fn the_tools_say_what_they_are() {
    let bench = Bench::new(&[]);
    let subjects = BTreeMap::from([
        ("Read", "file_path"),
        ("Glob", "pattern"),
        ("Grep", "path"),
        ("LS", "path"),
    ]);
    for (tool, row) in bench.tools.iter().zip(tools::READ_ONLY) {
        let spec = tool.spec();
        assert_eq!(spec.name, row.name);
        assert_eq!(spec.lane, Lane::Shared);
        assert_eq!(spec.effect, Effect::Pure);
        assert_eq!(spec.access, Access::Reads);
        let subject = spec.subject.as_deref().unwrap();
        assert_eq!(subject, subjects[row.name]);
        let arguments = spec.schema["properties"].as_object().unwrap();
        assert!(arguments.contains_key(subject));
        for (name, argument) in arguments {
            assert!(argument["description"].is_string(), "{}.{name}", row.name);
        }
        assert!(spec.description.len() > 100 && !row.about.is_empty());
    }
    // Lenient: an argument that nobody knows is no reason to fail a call.
    let set = ToolSet::new(bench.tools.clone()).unwrap();
    let input = json!({"file_path": "x", "reason": "curious", "offset": null});
    assert!(set.check_value("Read", input).is_ok());
    assert!(set.check_value("Read", json!({})).is_err());
}

#[tokio::test]
async fn read_numbers_lines_and_says_where_to_go_on() {
    let five: String = (1..=5).map(|n| format!("line {n}\n")).collect();
    let bench = Bench::new(&[
        ("five", &five),
        ("open", "a\nb"),
        ("crlf", "a\r\n\r\nb\r\n"),
    ]);
    bench.put("empty", "");
    bench.put("bom", "\u{FEFF}x\n");
    bench.put("bad", b"caf\xe9\n\xff\n");
    let table = [
        (json!({"file_path": "open"}), "     1→a\n     2→b"),
        (json!({"file_path": "crlf"}), "     1→a\n     2→\n     3→b"),
        (json!({"file_path": "empty"}), "(empty file)"),
        (json!({"file_path": "bom"}), "     1→x"),
        (
            json!({"file_path": "bad"}),
            "     1→caf\u{FFFD}\n     2→\u{FFFD}",
        ),
        (
            json!({"file_path": "five", "limit": 2}),
            "     1→line 1\n     2→line 2\n(lines 1-2 of 5 shown; next offset 3)",
        ),
        (
            json!({"file_path": "five", "offset": 0, "limit": 1}),
            "     1→line 1\n(lines 1-1 of 5 shown; next offset 2)",
        ),
        (
            json!({"file_path": "five", "offset": 3, "limit": 2}),
            "     3→line 3\n     4→line 4\n(lines 3-4 of 5 shown; next offset 5)",
        ),
        (
            json!({"file_path": "five", "offset": 5}),
            "     5→line 5\n(lines 5-5 of 5 shown; end of file)",
        ),
    ];
    for (input, expected) in table {
        assert_eq!(bench.ok("Read", input.clone()).await, expected, "{input}");
    }
    let past = bench
        .failed("Read", json!({"file_path": "five", "offset": 6}))
        .await;
    assert_eq!(past, "there is no line 6, the file has 5 lines: `five`");
    let past = bench
        .failed("Read", json!({"file_path": "empty", "offset": 2}))
        .await;
    assert_eq!(past, "there is no line 2, the file has 0 lines: `empty`");
}

#[tokio::test]
async fn read_shows_two_thousand_lines_and_any_file_page_by_page() {
    let many: String = (1..=5001).map(|n| format!("{n}\n")).collect();
    let bench = Bench::new(&[("many", &many)]);
    let first = bench.ok("Read", json!({"file_path": "many"})).await;
    assert_eq!(first.lines().count(), 2001);
    assert!(first.ends_with("\n  2000→2000\n(lines 1-2000 of 5001 shown; next offset 2001)"));
    // Wide lines run into the answer's size first; the pages still join without a gap.
    let wide: Vec<String> = (1..=900)
        .map(|n| format!("{n}:{}", "é".repeat(n)))
        .collect();
    bench.put("wide", wide.join("\n"));
    let (mut next, mut got, mut pages) = (Some(1), Vec::new(), 0);
    while let Some(offset) = next {
        let page = bench
            .ok("Read", json!({"file_path": "wide", "offset": offset}))
            .await;
        assert!(page.len() < 100_000, "{}", page.len());
        let (lines, foot) = page.rsplit_once('\n').unwrap();
        got.extend(
            lines
                .lines()
                .map(|line| line.split_once('→').unwrap().1.to_owned()),
        );
        let number = foot.strip_suffix(')').unwrap().rsplit_once("next offset ");
        next = number.map(|(_, number)| number.parse().unwrap());
        pages += 1;
    }
    assert_eq!(got, wide);
    assert!(pages > 5, "{pages}");
}

#[tokio::test]
async fn read_cuts_long_lines_at_characters() {
    let bench = Bench::new(&[]);
    bench.put("fits", "✓".repeat(2000) + "\nnext");
    bench.put("cut", "✓".repeat(2001) + "\nnext");
    bench.put("huge", "x".repeat(300_000) + "\nnext");
    let fits = bench.ok("Read", json!({"file_path": "fits"})).await;
    assert_eq!(fits, format!("     1→{}\n     2→next", "✓".repeat(2000)));
    let cut = bench.ok("Read", json!({"file_path": "cut"})).await;
    let line = "✓".repeat(2000);
    assert_eq!(
        cut,
        format!("     1→{line} [… line cut here, it has 6003 bytes]\n     2→next")
    );
    let huge = bench.ok("Read", json!({"file_path": "huge"})).await;
    assert!(huge.ends_with("xxx [… line cut here, it has 300000 bytes]\n     2→next"));
}

#[tokio::test]
async fn read_knows_binaries_pictures_and_documents_by_their_bytes() {
    let bench = Bench::new(&[("dir/x", "")]);
    bench.put("bin", b"\x7fELF\0\0\x01");
    assert_eq!(
        bench.ok("Read", json!({"file_path": "bin"})).await,
        "(binary file, 7 bytes)"
    );
    let late = [b"x".repeat(9000), vec![0]].concat();
    bench.put("late", &late);
    assert!(
        bench
            .ok("Read", json!({"file_path": "late"}))
            .await
            .starts_with("     1→xxx")
    );
    let media: [(&str, &[u8], &str); 5] = [
        ("a.txt", b"\x89PNG\r\n\x1a\n\0\0rest", "image/png"),
        ("b.jpg", b"\xff\xd8\xff\xe0\0\0rest", "image/jpeg"),
        ("c", b"GIF89a\0\0rest", "image/gif"),
        ("d.webp", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ("e.pdf", b"%PDF-1.7\n", "application/pdf"),
    ];
    for (name, bytes, mime) in media {
        bench.put(name, bytes);
        let output = bench.call("Read", json!({"file_path": name})).await;
        let [Content::Media(media)] = &output.content[..] else {
            panic!("{name}: {output:?}");
        };
        assert_eq!((&*media.mime, media.name.as_deref()), (mime, Some(name)));
        let expected = offshoot::Media::bytes(mime, bytes).source;
        assert!(matches!(&media.source, MediaSource::Base64(_)) && media.source == expected);
    }
    for (name, start, limit) in [
        ("big.png", &b"\x89PNG\r\n\x1a\n"[..], 5 << 20),
        ("big.pdf", b"%PDF-", 20 << 20),
    ] {
        bench.put(name, start);
        let file = fs::File::options()
            .write(true)
            .open(bench.folder.path().join(name))
            .unwrap();
        file.set_len(limit + 1).unwrap();
        let said = bench.failed("Read", json!({"file_path": name})).await;
        assert!(
            said.contains(&format!("{} bytes where at most {limit} fit", limit + 1)),
            "{said}"
        );
    }
    let said = bench.failed("Read", json!({"file_path": "dir"})).await;
    assert_eq!(said, "this is a folder, list it with LS: `dir`");
}

#[tokio::test]
async fn a_missing_path_is_answered_with_near_ones() {
    let bench = Bench::new(&[("src/main.rs", ""), ("src/lib.rs", ""), ("README.md", "")]);
    let table = [
        (
            "Read",
            json!({"file_path": "src/mian.rs"}),
            "`src/mian.rs`; similar names: `src/main.rs`",
        ),
        (
            "Read",
            json!({"file_path": "readme.md"}),
            "`readme.md`; similar names: `README.md`",
        ),
        (
            "Read",
            json!({"file_path": "scr/main.rs"}),
            "`scr/main.rs`; similar names: `src`",
        ),
        (
            "Read",
            json!({"file_path": "src/lib.ts"}),
            "`src/lib.ts`; similar names: `src/lib.rs`",
        ),
        ("Read", json!({"file_path": "zzzzzz"}), "`zzzzzz`"),
        ("LS", json!({"path": "sr"}), "`sr`; similar names: `src`"),
        (
            "Glob",
            json!({"path": "sr", "pattern": "*"}),
            "`sr`; similar names: `src`",
        ),
        (
            "Grep",
            json!({"path": "sr", "pattern": "x"}),
            "`sr`; similar names: `src`",
        ),
    ];
    for (tool, input, expected) in table {
        let said = bench.failed(tool, input).await;
        assert_eq!(said, format!("there is no file or folder: {expected}"));
    }
    let said = bench.failed("LS", json!({"path": "README.md"})).await;
    assert_eq!(said, "this is not a folder: `README.md`");
}

/// A file of two gigabytes is read from far inside without ever being in memory.
#[cfg(target_os = "linux")]
#[test]
fn read_streams_a_huge_file() {
    const CHILD: &str = "OFFSHOOT_TEST_HUGE_FILE";
    // In a process of its own: other tests use memory too.
    if let Some(folder) = std::env::var_os(CHILD) {
        return child(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let start: String = (1..=3000).map(|n| format!("line {n}\n")).collect();
    let path = folder.path().join("huge");
    fs::write(&path, &start).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    // One line of zeros, two gigabytes long; then one more line.
    file.set_len(2 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"\nlast\n", 2 << 30).unwrap();
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tools::read_streams_a_huge_file", "--nocapture"])
        .env(CHILD, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        run.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert!(said.contains("grew by"), "the child did nothing: {said}");
    println!("{said}");

    fn peak() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn child(folder: &Path) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let tools = tools::read_only(folder).unwrap();
        let call = |input: Value| {
            let context = ToolContext::detached("1");
            let output = runtime.block_on(tools[0].call(context, input));
            match &output.content[..] {
                [Content::Text(text)] => text.clone(),
                other => panic!("{other:?}"),
            }
        };
        call(json!({"file_path": "huge", "limit": 1}));
        let before = peak();
        let far = call(json!({"file_path": "huge", "offset": 2999}));
        let lines: Vec<&str> = far.lines().collect();
        assert_eq!(lines[..2], ["  2999→line 2999", "  3000→line 3000"]);
        let length = (2_u64 << 30) - 3000 * 5 - (9 + 90 * 2 + 900 * 3 + 2001 * 4) - 3000;
        let cut = format!(" [… line cut here, it has {length} bytes]");
        assert!(
            lines[2].ends_with(&cut),
            "{}",
            &lines[2][lines[2].len() - 60..]
        );
        assert_eq!(lines[3], "  3002→last");
        let grown = peak() - before;
        println!("grew by {grown} KiB");
        assert!(grown < 16 << 10, "grew by {grown} KiB");
    }
}

#[tokio::test]
async fn glob_lists_the_newest_and_counts_all() {
    let bench = Bench::new(&[
        ("a.rs", ""),
        ("b.txt", ""),
        ("src/c.rs", ""),
        ("src/deep/d.rs", ""),
        (".hidden.rs", ""),
        (".github/workflows/ci.yml", ""),
        ("out/e.rs", ""),
        ("src/x.log", ""),
    ]);
    bench.put(".gitignore", "/out\n*.log\n");
    for (n, path) in ["src/deep/d.rs", "a.rs", "src/c.rs"].iter().enumerate() {
        bench.age(path, 100 * (n as u64 + 1));
    }
    let root = bench.root().display().to_string();
    let table = [
        (
            json!({"pattern": "**/*.rs"}),
            "src/deep/d.rs\na.rs\nsrc/c.rs\n(3 files)",
        ),
        (json!({"pattern": "*.rs"}), "a.rs\n(1 files)"),
        (json!({"pattern": "./*.rs"}), "a.rs\n(1 files)"),
        (json!({"pattern": "*.{rs,txt}"}), "b.txt\na.rs\n(2 files)"),
        (json!({"pattern": "src/*"}), "src/c.rs\n(1 files)"),
        (
            json!({"pattern": "*", "path": "src"}),
            "src/c.rs\n(1 files)",
        ),
        (
            json!({"pattern": "**/d.rs", "path": "src"}),
            "src/deep/d.rs\n(1 files)",
        ),
        (
            json!({"pattern": "{src/c,a}.rs"}),
            "a.rs\nsrc/c.rs\n(2 files)",
        ),
        (
            json!({"pattern": format!("{root}/src/**/*.rs")}),
            "src/deep/d.rs\nsrc/c.rs\n(2 files)",
        ),
        (
            json!({"pattern": format!("{root}/a.rs")}),
            "a.rs\n(1 files)",
        ),
        (json!({"pattern": ".*.rs"}), ".hidden.rs\n(1 files)"),
        (
            json!({"pattern": ".github/**/*.yml"}),
            ".github/workflows/ci.yml\n(1 files)",
        ),
        (json!({"pattern": "**/*.yml"}), "(0 files)"),
        (
            json!({"pattern": "**/*.yml", "path": ".github"}),
            ".github/workflows/ci.yml\n(1 files)",
        ),
        (json!({"pattern": "out/*"}), "(0 files)"),
        (
            json!({"pattern": "*", "path": "out"}),
            "out/e.rs\n(1 files)",
        ),
        (json!({"pattern": "src"}), "(0 files)"),
    ];
    for (input, expected) in table {
        assert_eq!(bench.ok("Glob", input.clone()).await, expected, "{input}");
    }
    for n in 0..150 {
        bench.put(&format!("many/{n:03}"), "");
        bench.age(&format!("many/{n:03}"), 1000 + n);
    }
    let many = bench.ok("Glob", json!({"pattern": "many/*"})).await;
    let lines: Vec<&str> = many.lines().collect();
    assert_eq!(lines.len(), 101);
    assert_eq!((lines[0], lines[99]), ("many/000", "many/099"));
    assert_eq!(lines[100], "(100 of 150 files shown)");
    for bad in ["a/../*", "../*", "[", "{a"] {
        bench.failed("Glob", json!({"pattern": bad})).await;
    }
}

#[tokio::test]
async fn grep_answers_in_three_ways() {
    let bench = Bench::new(&[
        ("a.rs", "fn one() {}\n// Needle\nfn two() {}\n"),
        ("src/b.rs", "needle\nneedle needle\nlast needle"),
        ("c.txt", "a needle\r\n"),
        ("none.txt", "nothing\n"),
        (".env", "needle\n"),
    ]);
    bench.put("bin", b"needle\0\n");
    for (n, path) in ["c.txt", "src/b.rs", "a.rs"].iter().enumerate() {
        bench.age(path, 100 * (n as u64 + 1));
    }
    let table = [
        (json!({"pattern": "needle"}), "c.txt\nsrc/b.rs\n(2 files)"),
        (
            json!({"pattern": "needle", "-i": true}),
            "c.txt\nsrc/b.rs\na.rs\n(3 files)",
        ),
        (
            json!({"pattern": "NEEDLE", "case_insensitive": true, "glob": "*.rs"}),
            "src/b.rs\na.rs\n(2 files)",
        ),
        (
            json!({"pattern": "needle", "glob": "src/*.rs"}),
            "src/b.rs\n(1 files)",
        ),
        (
            json!({"pattern": "needle", "glob": "!*.rs"}),
            "c.txt\n(1 files)",
        ),
        (
            json!({"pattern": "needle", "glob": ".env"}),
            ".env\n(1 files)",
        ),
        (
            json!({"pattern": "needle", "path": "src"}),
            "src/b.rs\n(1 files)",
        ),
        (
            json!({"pattern": "needle", "path": "src/b.rs"}),
            "src/b.rs\n(1 files)",
        ),
        (
            json!({"pattern": "needle", "path": ".env"}),
            ".env\n(1 files)",
        ),
        (
            json!({"pattern": "needle", "head_limit": 1}),
            "c.txt\n(1 of 2 files shown)",
        ),
        (json!({"pattern": "absent"}), "(0 files)"),
        (
            json!({"pattern": "needle", "output_mode": "count"}),
            "src/b.rs:3\nc.txt:1\n(4 matches in 2 files)",
        ),
        (
            json!({"pattern": "needle", "output_mode": "count", "head_limit": 1}),
            "src/b.rs:3\n(1 of 2 files shown)\n(4 matches in 2 files)",
        ),
        (
            json!({"pattern": "absent", "output_mode": "count"}),
            "(0 matches in 0 files)",
        ),
        (
            json!({"pattern": "needle$|^fn", "output_mode": "content"}),
            "a.rs:1: fn one() {}\na.rs:3: fn two() {}\nsrc/b.rs:1: needle\nsrc/b.rs:2: needle needle\n\
             src/b.rs:3: last needle",
        ),
        (
            json!({"pattern": "needle", "path": "c.txt", "output_mode": "content", "-n": false}),
            "c.txt: a needle",
        ),
        (
            json!({"pattern": "Needle", "output_mode": "content", "-C": 1}),
            "a.rs-1- fn one() {}\na.rs:2: // Needle\na.rs-3- fn two() {}",
        ),
        (
            json!({"pattern": "one", "output_mode": "content", "-A": 1}),
            "a.rs:1: fn one() {}\na.rs-2- // Needle",
        ),
        (
            json!({"pattern": "two", "output_mode": "content", "-B": 1}),
            "a.rs-2- // Needle\na.rs:3: fn two() {}",
        ),
        (
            json!({"pattern": "needle", "output_mode": "content", "head_limit": 2}),
            "c.txt:1: a needle\nsrc/b.rs:1: needle\n(first 2 matches shown, there may be more)",
        ),
        (
            json!({"pattern": "absent", "output_mode": "content"}),
            "(0 matches)",
        ),
        (
            json!({"pattern": "one.*?\\n.*Needle", "output_mode": "content", "multiline": true}),
            "a.rs:1: fn one() {}\na.rs:2: // Needle",
        ),
        (
            json!({"pattern": "needle", "output_mode": "count", "multiline": true}),
            "src/b.rs:4\nc.txt:1\n(5 matches in 2 files)",
        ),
    ];
    for (input, expected) in table {
        assert_eq!(bench.ok("Grep", input.clone()).await, expected, "{input}");
    }
    let said = bench.failed("Grep", json!({"pattern": "a(b"})).await;
    assert!(said.contains("unclosed group"), "{said}");
    bench
        .failed("Grep", json!({"pattern": "a", "glob": "["}))
        .await;
}

#[tokio::test]
async fn grep_shows_the_part_of_a_long_line_that_matches() {
    let bench = Bench::new(&[]);
    let line = format!("{}needle{}\n", "é".repeat(5000), "x".repeat(5000));
    bench.put("min.js", line);
    bench.put("huge", "y".repeat(20 << 20) + "needle\n");
    let input = json!({"pattern": "needle", "output_mode": "content"});
    let said = bench.ok("Grep", input).await;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    let text = lines[0].strip_prefix("min.js:1: …é").unwrap();
    let text = text.strip_suffix("x… [line of 15006 bytes]").unwrap();
    assert!(
        text.contains("éneedlex") && text.chars().count() == 498,
        "{said}"
    );
    assert_eq!(
        lines[1],
        "(1 files could be searched only in part or not at all)"
    );
}

#[tokio::test]
async fn ls_draws_two_levels_and_counts_all_of_them() {
    let bench = Bench::new(&[
        ("b.txt", "12345"),
        ("a/z", "1"),
        ("a/deep/x", "22"),
        ("a/deep/er/y", "333"),
        ("Cargo.toml", ""),
        (".hidden", "4444"),
        ("skip/x.log", "5"),
        ("name\nline", "6"),
    ]);
    bench.put(".gitignore", "*.log\n");
    let root = bench.root().display().to_string();
    let expected = format!(
        "{root}\n  Cargo.toml\t0 bytes\n  a/\n    deep/\n    z\t1 bytes\n  b.txt\t5 bytes\n  \
         name\\nline\t1 bytes\n  skip/\n6 files, 4 folders, 12 bytes"
    );
    assert_eq!(bench.ok("LS", json!({})).await, expected);
    let expected = format!(
        "{root}/a\n  deep/\n    er/\n    x\t2 bytes\n  z\t1 bytes\n3 files, 2 folders, 6 bytes"
    );
    assert_eq!(bench.ok("LS", json!({"path": "a"})).await, expected);
    assert_eq!(
        bench.ok("LS", json!({"path": format!("{root}/a/")})).await,
        expected
    );
    let input = json!({"ignore": ["deep/", "*.toml", "a/z", "name*"]});
    let expected = format!("{root}\n  a/\n  b.txt\t5 bytes\n  skip/\n1 files, 2 folders, 5 bytes");
    assert_eq!(bench.ok("LS", input).await, expected);
    bench.failed("LS", json!({"ignore": ["["]})).await;
}

#[tokio::test]
async fn ls_keeps_room_for_every_entry_of_the_first_level() {
    let bench = Bench::new(&[]);
    for n in 0..150 {
        bench.put(&format!("aa/{n:03}"), "");
    }
    for n in 0..120 {
        bench.put(&format!("z{n:03}"), "x");
    }
    let said = bench.ok("LS", json!({})).await;
    let lines: Vec<&str> = said.lines().collect();
    let inner = lines.iter().filter(|line| line.starts_with("    ")).count();
    assert_eq!((lines.len(), inner), (1 + 200 + 2, 79));
    assert!(lines.contains(&"  z119\t1 bytes"));
    assert_eq!(
        lines[201],
        "(200 of 271 entries shown: list a folder below for more)"
    );
    assert_eq!(lines[202], "270 files, 1 folders, 120 bytes");
    // More entries than an answer lists, in one folder.
    for n in 0..300 {
        bench.put(&format!("y/{n:03}"), "");
    }
    let said = bench.ok("LS", json!({"path": "y"})).await;
    assert!(said.ends_with(
        "  199\t0 bytes\n(200 of 300 entries shown: list a folder below for more)\n\
         300 files, 0 folders, 0 bytes"
    ));
}

#[tokio::test]
async fn a_cancelled_call_stops_looking() {
    let bench = Bench::new(&[("a", "x")]);
    let context = ToolContext::detached("1");
    context.scope().cancel();
    for (name, input) in [("Glob", json!({"pattern": "*"})), ("LS", json!({}))] {
        let tool = bench.tools.iter().find(|tool| tool.spec().name == name);
        let output = tool.unwrap().call(context.clone(), input).await;
        let said = format!("{output:?}");
        assert!(said.contains("(stopped: cancelled)"), "{name}: {said}");
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What a recount by `std::fs` alone finds, with the ignore rules of [`grow`] spelt out.
#[derive(Debug, Default)]
struct Recount {
    files: Vec<(String, u64)>,
    folders: Vec<String>,
    needles: BTreeMap<String, u64>,
}

fn recount(root: &Path, folder: &Path, into: &mut Recount) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let kind = entry.file_type().unwrap();
        let is_kept = name == "kept.log";
        if name.starts_with('.') || name.ends_with(".log") && !is_kept {
            continue;
        }
        if kind.is_dir() && name == "build" {
            continue;
        }
        let path = entry.path();
        let shown = path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if kind.is_dir() {
            into.folders.push(shown);
            recount(root, &path, into);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            into.files.push((shown.clone(), bytes.len() as u64));
            let text = String::from_utf8_lossy(&bytes);
            let hits = text.lines().filter(|line| line.contains("needle")).count() as u64;
            if hits > 0 && !bytes.contains(&0) {
                into.needles.insert(shown, hits);
            }
        }
    }
}

fn grow(bench: &Bench, dice: &mut Dice) {
    bench.put(".gitignore", "*.log\nbuild/\n!kept.log\n");
    let mut folders = vec![String::new()];
    for n in 0..dice.below(40) {
        let parent = folders[dice.below(folders.len() as u64) as usize].clone();
        let name = match dice.below(8) {
            0 => "build".to_owned(),
            1 => format!(".h{n}"),
            _ => format!("d{n}"),
        };
        folders.push(format!("{parent}{name}/"));
        fs::create_dir_all(bench.folder.path().join(folders.last().unwrap())).unwrap();
    }
    for n in 0..dice.below(250) {
        let folder = &folders[dice.below(folders.len() as u64) as usize];
        let name = match dice.below(12) {
            0 => format!("{n}.log"),
            1 => "kept.log".to_owned(),
            2 => format!(".{n}"),
            3 => "build.rs".to_owned(),
            4..=6 => format!("{n}.rs"),
            _ => format!("f {n}.txt"),
        };
        let mut text = Vec::new();
        for _ in 0..dice.below(30) {
            let line: &[u8] = match dice.below(6) {
                0 => b"a needle here\n",
                1 => b"needle needle\n",
                2 => b"N\xe9edle\n",
                _ => b"hay\n",
            };
            text.extend_from_slice(line);
        }
        if dice.below(10) == 0 {
            text.insert(0, 0);
        }
        bench.put(&format!("{folder}{name}"), text);
    }
    #[cfg(unix)]
    for n in 0..dice.below(4) {
        let link = bench.folder.path().join(format!("link{n}"));
        std::os::unix::fs::symlink(["d0", ".", "kept.log"][n as usize % 3], link).unwrap();
    }
}

/// Twenty random trees: what the tools count is what is on the disk, and they agree.
#[tokio::test]
async fn counts_of_random_trees_are_those_of_the_disk() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut largest = 0;
    for tree in 0..20 {
        let bench = Bench::new(&[]);
        grow(&bench, &mut dice);
        let root = bench.root();
        let mut truth = Recount::default();
        recount(&root, &root, &mut truth);
        let (files, folders) = (truth.files.len(), truth.folders.len());
        largest = largest.max(files);
        let bytes: u64 = truth.files.iter().map(|(_, size)| size).sum();

        let said = bench.ok("LS", json!({})).await;
        let last = format!("{files} files, {folders} folders, {bytes} bytes");
        assert_eq!(said.lines().last(), Some(&*last), "tree {tree}");
        let tops = said
            .lines()
            .filter(|line| line.starts_with("  ") && !line.starts_with("    "));
        let mut tops: Vec<&str> = tops.filter(|line| !line.ends_with("(link)")).collect();
        tops.sort_unstable();
        let top_files = truth.files.iter().filter(|(path, _)| !path.contains('/'));
        let mut expected: Vec<String> = top_files
            .map(|(path, size)| format!("  {path}\t{size} bytes"))
            .collect();
        let top_folders = truth.folders.iter().filter(|path| !path.contains('/'));
        expected.extend(top_folders.map(|path| format!("  {path}/")));
        expected.sort_unstable();
        assert_eq!(tops, expected, "tree {tree}");
        for folder in &truth.folders {
            let below = format!("{folder}/");
            let inside: Vec<_> = truth
                .files
                .iter()
                .filter(|(p, _)| p.starts_with(&below))
                .collect();
            let last = format!(
                "{} files, {} folders, {} bytes",
                inside.len(),
                truth
                    .folders
                    .iter()
                    .filter(|path| path.starts_with(&below))
                    .count(),
                inside.iter().map(|(_, size)| size).sum::<u64>()
            );
            let said = bench.ok("LS", json!({"path": folder})).await;
            assert_eq!(said.lines().last(), Some(&*last), "tree {tree}, {folder}");
        }

        for (pattern, end) in [
            ("**/*", ""),
            ("**/*.rs", ".rs"),
            ("**/kept.log", "kept.log"),
        ] {
            let matching: Vec<&str> = truth
                .files
                .iter()
                .map(|(path, _)| &**path)
                .filter(|path| path.ends_with(end))
                .collect();
            let said = bench.ok("Glob", json!({"pattern": pattern})).await;
            let (shown, total) = (matching.len().min(100), matching.len());
            let last = match total > 100 {
                true => format!("(100 of {total} files shown)"),
                false => format!("({total} files)"),
            };
            let listed: Vec<&str> = said.lines().collect();
            assert_eq!(listed[shown..], [&*last], "tree {tree}, {pattern}");
            assert!(listed[..shown].iter().all(|path| matching.contains(path)));
        }

        let input = json!({"pattern": "needle", "output_mode": "count", "head_limit": 2000});
        let said = bench.ok("Grep", input).await;
        let mut rows: Vec<_> = truth.needles.iter().collect();
        rows.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let mut expected: String = rows
            .iter()
            .map(|(path, hits)| format!("{path}:{hits}\n"))
            .collect();
        let total: u64 = truth.needles.values().sum();
        expected.push_str(&format!("({total} matches in {} files)", rows.len()));
        assert_eq!(said, expected, "tree {tree}");
        let said = bench.ok("Grep", json!({"pattern": "needle"})).await;
        let last = format!("({} files)", rows.len());
        assert_eq!(said.lines().last(), Some(&*last), "tree {tree}");
    }
    assert!(
        largest > 100,
        "no tree is larger than one answer: {largest}"
    );
}
