//! Prompts as people write them, and the task each means.
//! Refuses to run anything: this is the table alone.

use super::super::rules::{Task, What, understand};

fn task(prompt: &str) -> Option<Task> {
    understand(prompt, None).map(|meaning| meaning.task)
}

#[test]
fn surveys() {
    for (prompt, place) in [
        ("Survey this folder and tell me what it is", "."),
        ("survey", "."),
        ("Please describe the project.", "."),
        ("Can you summarise this repository for me?", "."),
        ("summarize src/http", "src/http"),
        ("Explain this folder", "."),
        ("explain `src`", "src"),
        ("What is this folder?", "."),
        ("what's this", "."),
        ("What is in this directory?", "."),
        ("what does this project do?", "."),
        ("Tell me about this repo", "."),
        ("tell me about ./docs/", "./docs"),
        ("Survey the folder /tmp/a and tell me what it is", "/tmp/a"),
        ("Give me an overview of the codebase", "."),
        ("Survey src", "src"),
        ("what is this directory about", "."),
        ("Describe this folder in one sentence", "."),
        ("what am I looking at?", "."),
        ("explain what this folder contains", "."),
        ("look at src/http and tell me what it is", "src/http"),
        ("tell me about the project in the docs folder", "docs"),
    ] {
        assert_eq!(
            task(prompt),
            Some(Task::Survey { path: place.into() }),
            "{prompt}"
        );
    }
}

#[test]
fn figures() {
    for (prompt, what, place) in [
        ("How big is it?", What::Size, "."),
        ("how big is this folder", What::Size, "."),
        ("How many files are there?", What::Files, "."),
        ("how many files in src?", What::Files, "src"),
        (
            "how many files are in `my folder`",
            What::Files,
            "my folder",
        ),
        ("How many lines of code?", What::Lines, "."),
        (
            "how many lines does src/main.rs have",
            What::Lines,
            "src/main.rs",
        ),
        ("count the lines", What::Lines, "."),
        (
            "how many .toml files are there",
            What::Kind("toml".into()),
            ".",
        ),
        (
            "How many Python files are in lib/x?",
            What::Kind("py".into()),
            "lib/x",
        ),
        ("how many folders", What::Folders, "."),
        ("How many bytes is it?", What::Bytes, "."),
        ("How many files and lines are in src?", What::Size, "src"),
        ("Which are the largest files?", What::Largest, "."),
        ("what is the biggest file in src", What::Largest, "src"),
        ("list the five largest files", What::Largest, "."),
        ("What kinds of files are here?", What::Kinds, "."),
        ("what language is this written in", What::Kinds, "."),
        ("what's the size of this folder?", What::Size, "."),
        (
            "how many files are in the tests folder?",
            What::Files,
            "tests",
        ),
        (
            "How many lines of Rust code are there in src?",
            What::KindLines("rs".into()),
            "src",
        ),
    ] {
        let expected = Task::Measure {
            what,
            path: place.into(),
        };
        assert_eq!(task(prompt), Some(expected), "{prompt}");
    }
}

#[test]
fn files_and_texts() {
    let find = |glob: &str, path: &str| Task::Find {
        glob: glob.into(),
        path: path.into(),
    };
    let search = |pattern: &str, said: &str, path: &str| Task::Search {
        pattern: pattern.into(),
        said: said.into(),
        path: path.into(),
    };
    let show = |file: &str, from, count| Task::Show {
        file: file.into(),
        from,
        count,
    };
    let list = |path: &str| Task::List { path: path.into() };
    for (prompt, expected) in [
        ("List files", list(".")),
        ("list the files in src", list("src")),
        ("ls", list(".")),
        ("ls src", list("src")),
        ("what files are in docs/", list("docs")),
        ("Find files matching *.rs", find("**/*.rs", ".")),
        (
            "find files matching \"src/**/*.rs\"",
            find("src/**/*.rs", "."),
        ),
        ("find all markdown files in docs", find("**/*.md", "docs")),
        ("find Cargo.toml", find("**/Cargo.toml", ".")),
        ("where is main.rs?", find("**/main.rs", ".")),
        ("list all *.md", find("**/*.md", ".")),
        ("find files named wave", find("**/*wave*", ".")),
        ("find files ending in rs", find("**/*.rs", ".")),
        ("list all toml files", find("**/*.toml", ".")),
        ("which files end with .md?", find("**/*.md", ".")),
        ("Search for \"X\"", search("X", "X", ".")),
        (
            "search for \"a.b(c)\" in src",
            search(r"a\.b\(c\)", "a.b(c)", "src"),
        ),
        (
            "search for two words",
            search("two words", "two words", "."),
        ),
        (
            "grep fn.*main in src",
            search("fn.*main", "fn.*main", "src"),
        ),
        ("search for /v[0-9]+/", search("v[0-9]+", "/v[0-9]+/", ".")),
        ("where is Scope used?", search("Scope", "Scope", ".")),
        ("Which files contain TODO?", search("TODO", "TODO", ".")),
        (
            "find \"hello world\"",
            search("hello world", "hello world", "."),
        ),
        ("How many files contain \"x y\"?", search("x y", "x y", ".")),
        ("how many times does foo appear?", search("foo", "foo", ".")),
        (
            "Can you find all the TODO comments?",
            search("TODO", "TODO", "."),
        ),
        ("read the README", show("README.md", None, None)),
        ("Read README.md", show("README.md", None, None)),
        ("show me the file Makefile", show("Makefile", None, None)),
        (
            "print the first 20 lines of src/a.rs",
            show("src/a.rs", None, Some(20)),
        ),
        (
            "show lines 10 to 12 of a.rs",
            show("a.rs", Some(10), Some(3)),
        ),
        ("What is in Cargo.toml?", show("Cargo.toml", None, None)),
        ("open `notes.txt`", show("notes.txt", None, None)),
    ] {
        assert_eq!(task(prompt), Some(expected), "{prompt}");
    }
}

#[test]
fn what_is_not_about_folders_is_not_understood() {
    for prompt in [
        "",
        "hello",
        "?",
        "Explain quantum physics",
        "Describe the weather in Paris",
        "explain this error message",
        "How big is the moon?",
        "how long is a day",
        "What is the largest planet?",
        "what is the meaning of life",
        "Write a function that adds two numbers",
        "Delete all files",
        "fix the bug in src/main.rs",
        "how much is 2 + 2",
        "Translate this text",
        "find me a good restaurant near the station",
        // Asked for less than everything: everything would be the wrong answer.
        "how many files are empty?",
        "how many files changed yesterday",
        "how many empty files are there",
        "how many lines of comments are there?",
        "how many lines are longer than 100 characters",
        "how many folders have no files",
        "show lines 9 to 3 of a.rs",
        "show the first 0 lines of a.rs",
    ] {
        assert_eq!(task(prompt), None, "{prompt}");
    }
    // A prompt of any length is answered quickly.
    let long = "survey ".repeat(200_000);
    let began = std::time::Instant::now();
    task(&long);
    assert!(began.elapsed().as_millis() < 1_000);
}

#[test]
fn follow_ups_stay_where_the_talk_was() {
    for (prompt, what) in [
        ("and how many lines?", What::Lines),
        ("And the largest?", What::Largest),
        ("what about folders?", What::Folders),
    ] {
        let meaning = understand(prompt, Some("src")).unwrap();
        assert!(meaning.follows, "{prompt}");
        assert_eq!(
            meaning.task,
            Task::Measure {
                what,
                path: "src".into()
            },
            "{prompt}"
        );
    }
    let other = understand("and in docs/?", Some("src")).map(|m| m.task);
    assert_eq!(
        other,
        Some(Task::Survey {
            path: "docs".into()
        })
    );
    // A new question starts afresh.
    let fresh = understand("how many lines?", Some("src")).unwrap();
    assert!(!fresh.follows);
}
