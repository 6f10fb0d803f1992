//! The table of what the offline model understands: phrases on the left, a task on the right.
//! Refuses to guess at anything else; a prompt without a row is answered with the list of examples.

use super::{
    commands::Command,
    facts,
    phrase::{self, Captures},
};

/// What the user wants to know.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Task {
    /// What is this folder?
    Survey { path: String },
    /// How many, how big, which is the largest?
    Measure { what: What, path: String },
    /// What is in it?
    List { path: String },
    /// Which files have such a name?
    Find { glob: String, path: String },
    /// Which lines say this?
    Search {
        pattern: String,
        said: String,
        path: String,
    },
    /// What does this file say?
    Show {
        file: String,
        from: Option<u64>,
        count: Option<u64>,
    },
    /// What is this folder, in a form that another model can rely on?
    Report { path: String },
    /// What are the agents below to do?
    Command(Command),
}

/// A figure that can be asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// Number of files.
    Files,
    /// Number of files that end like this.
    Kind(String),
    /// Number of lines of files that end like this.
    KindLines(String),
    /// Number of folders.
    Folders,
    /// Number of lines.
    Lines,
    /// Bytes.
    Bytes,
    /// All of these.
    Size,
    /// The largest and longest files.
    Largest,
    /// How many files of each kind.
    Kinds,
}

/// What a prompt means.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Meaning {
    /// The task.
    pub(super) task: Task,
    /// Whether it goes on from what was said before, so that earlier results count.
    pub(super) follows: bool,
    /// A word of the prompt that asks for more than reading.
    pub(super) beyond: Option<String>,
}

impl Meaning {
    /// A task and nothing else.
    pub(super) fn only(task: Task) -> Self {
        Self {
            task,
            follows: false,
            beyond: None,
        }
    }
}

/// Which task a row makes.
#[derive(Clone, Copy)]
enum Goal {
    Report,
    Survey,
    Files,
    Kind,
    Kinds,
    Folders,
    Lines,
    KindLines,
    Bytes,
    Size,
    Largest,
    List,
    Find,
    Search,
    SearchRaw,
    Show,
    Readme,
}

/// Words that stand for each other; `<name>` in a phrase.
#[rustfmt::skip]
pub(super) const CLASSES: &[(&str, &[&str])] = &[
    ("survey", &["survey", "describe", "summarise", "summarize", "explain", "explore", "analyse", "analyze",
                 "inspect", "examine", "study", "outline", "introduce", "overview"]),
    ("the", &["the", "this", "that", "these", "those", "my", "our", "its", "current", "present", "whole", "entire",
              "given", "a", "an", "working"]),
    ("place", &["folder", "directory", "dir", "project", "repo", "repository", "codebase", "workspace", "package",
                "crate", "tree", "place", "code", "cwd", "software", "program"]),
    ("here", &["here", "this", "it", "that"]),
    ("rest", &["there", "total", "all", "altogether", "overall", "together", "is", "are", "does", "do", "has", "have", "contain",
              "contains", "hold", "holds", "exist", "we", "i", "you", "and", "by", "size", "lines", "exactly"]),
    ("in", &["in", "inside", "under", "within", "of", "from", "at", "below", "for", "about", "through"]),
    ("show", &["read", "show", "open", "print", "cat", "display", "view", "see", "dump", "type"]),
    ("list", &["list", "ls", "show", "display", "dir", "enumerate", "print", "give"]),
    ("find", &["find", "locate", "list", "show", "give", "get", "glob"]),
    ("matching", &["matching", "match", "matches", "called", "named", "like", "ending", "end", "ends"]),
    ("files", &["file", "files", "one", "ones"]),
    ("dirs", &["folders", "directories", "subfolders", "subdirectories", "dirs"]),
    ("large", &["largest", "biggest", "longest", "heaviest"]),
    ("some", &["one", "two", "three", "four", "five", "ten", "3", "5", "10", "top", "few"]),
    ("used", &["used", "defined", "mentioned", "declared", "called", "imported", "referenced"]),
    ("uses", &["use", "uses", "contain", "contains", "mention", "mentions", "reference", "references", "call", "calls",
               "import", "imports", "say", "says", "include", "includes", "containing", "mentioning", "with"]),
    ("uses-of", &["uses", "usages", "usage", "occurrences", "mentions", "references", "places", "instances"]),
];

/// The rules, tried from the top. How phrases are written stands at [`phrase::fit`].
#[rustfmt::skip]
const RULES: &[(Goal, &[&str])] = &[
    (Goal::Report, &["survey the folder {~path} and report what is in it with its numbers"]),
    (Goal::Readme, &["<show> [me] [the] readme", "what is|does [in] [the] readme [say]"]),
    (Goal::Show, &[
        "<show> [me] [the] first {n} lines [of|from|in] [the] [file] {@file}",
        "<show> [me] [the] lines {n} to|through|until|and|- {m} [of|from|in] [the] [file] {@file}",
        "<show> [me] [the] [whole|full|complete] [file|contents|content|text] [of|from] [the] [file] {@file} [file]",
        "<show> [me] [the] [contents|content|text] [of] [the] file {~file}",
        "what is|does|are [the] [in|contents] [of] [the] [file] {@file} [file] [say|contain|hold]",
        "head {@file}",
        "<survey> [the] [file] {@file}",
        "tell me about [the] [file] {@file}",
    ]),
    (Goal::Search, &[
        "how many files|lines|places <uses> [the] [text|word|string] {x}", "how many files|lines have [the] [text|word|string] {x} in them",
        "how often does|is {x} appear|occur|used|mentioned|called %", "how many times does|is {x} appear|occur|used|mentioned|called %",
        "how many <uses-of>|matches of|for {x} are there %", "how many <uses-of>|matches of|for {x}", "count [the] <uses-of>|matches of|for {x}",
    ]),
    (Goal::KindLines, &["how many lines of {~kind} [code] %", "count [the] lines of {~kind} [code] %"]),
    (Goal::Lines, &[
        "how many lines [of] [code|text] %", "[the] number of lines [of] [code|text] %",
        "[the] [total] [number|count] [of] lines [of] [code] [are|is] [there]", "count [all] [the] lines [of] [code|text] %",
        "how long is|are [<the>] [<the>] <place>|files|file %", "how long is|are [the] {@path}",
        "how long is|are <here>", "[the] [total] line count %", "loc",
    ]),
    (Goal::Size, &[
        "how big|large|heavy is|are [<the>] [<the>] <place> %", "how big|large|heavy is|are [the] {@path} %",
        "how big|large|heavy is|are <here> [all]", "how many files and [how] [many] lines %", "how many files and [how] [many] <dirs> %",
        "[what] [is] [the] [total] size [of] [<the>] [<the>] <place> %", "[the] [its] [total] size", "what is its [total] size",
        "how much code %", "how big",
    ]),
    (Goal::Bytes, &[
        "how many bytes %", "[the] [total] [number] [of] bytes", "count [the] bytes %",
        "how much space does|do [<the>] [<the>] <place>|<here>|files [take|use|need] [up]",
    ]),
    (Goal::Folders, &["how many <dirs> %", "[the] number of <dirs> %", "[the] <dirs>", "count [all] [the] <dirs> %"]),
    (Goal::Kinds, &[
        "what|which kinds|kind|types|type|sorts of files *", "what|which file types|kinds *", "[the] kinds|types of files *",
        "what|which [programming] languages|language is|are|does|do [<the>] <place>|<here> *",
        "what|which [programming] languages|language is|are used *", "[the] kinds", "[the] languages",
        "how many files of each kind|type *",
    ]),
    (Goal::Largest, &[
        "what|which is|are [the] [<some>] <large> [<some>] <files> %", "what|which is|are [the] <large>",
        "[the] [<some>] <large> [<some>] <files> %", "[the] <large>",
        "which|what <files> is|are [the] <large> %", "<list> [me] [all] [the] [<some>] <large> [<some>] <files> %",
        "find [the] [<some>] <large> [<some>] <files> %",
    ]),
    (Goal::Files, &["how many files %", "[the] number of files %", "[the] [total] files", "count [all] [the] files %", "[the] file count %"]),
    (Goal::Kind, &[
        "how many {~kind} files|modules|scripts|documents %", "count [all] [the] {~kind} files %", "[the] number of {~kind} files %",
    ]),
    (Goal::Search, &[
        "search [the|this] [<place>] [for] [the] [text|word|string|phrase] {x} <in> <the> <place>",
        "search [the|this] [<place>] [for] [the] [text|word|string|phrase] {x} in|under|inside|within [the] {~path} [folder|directory]",
        "search [the|this] [<place>] [for] [the] [text|word|string|phrase] {x}",
        "look for {x} in|under|inside|within [the] {~path}", "look for {x}",
        "find [me] [all] [the] {~x} comments|notes|calls %",
        "where is|are|do|does [we|the] {x} <used> *", "does <the> <place> <uses> {x}",
        "what|which|whose files|file|lines|code <uses> [the] [text|word|string] {x}",
        "find|list|show [me] [all] [the] files <uses> [the] [text|word|string] {x}",
        "find|list|show [me] [all] [the] <uses-of> of|to|where {x} in|under|inside|within [the] {~path}",
        "find|list|show [me] [all] [the] <uses-of> of|to {x}",
        "who|what uses|calls|imports|references {~x}",
        "find [the] text|word|string|phrase {x} in|under|inside|within [the] {~path}", "find [the] text|word|string|phrase {x}",
    ]),
    (Goal::SearchRaw, &["grep [for] {x} in|under|inside|within [the] {~path}", "grep [for] {x}"]),
    (Goal::Find, &[
        "<find> [me] [all] [the] files [which|that|whose] [names|name] ending|end|ends in|with {~ending}",
        "which|what files ending|end|ends in|with {~ending}",
        "<find> [me] [all] [the] files [which|that|whose] [names|name] [are] <matching> [in|with|the] [pattern] {~x} in|under|inside|within [the] {~path} *",
        "<find> [me] [all] [the] files [which|that|whose] [names|name] [are] <matching> [in|with|the] [pattern] {~x} *",
        "which|what files [are] <matching> [in|with|the] [pattern] {~x} *",
        "<find> [me] [all] [the] [every] {~ending} files|file in|under|inside|within [the] {~path} *",
        "<find> [me] [all] [the] [every] {~ending} files|file *",
        "which|what {~ending} files are *", "where is|are [the] [file|files] {@x}",
        "find|locate|glob [all] [the] [file|files] {@x} in|under|inside|within [the] {~path}",
        "find|locate|glob [all] [the] [file|files] {@x}", "find|locate [the] file|files {~x}",
        "<list> [me] [all] [the] {@glob}",
    ]),
    (Goal::Search, &["find [all] [the] {~x} in|under|inside|within [the] {~path}", "find [all] {~x}"]),
    (Goal::List, &[
        "<list> [me] [all] [the] [files|entries|contents|content|<dirs>] [and] [files|<dirs>] [<in>] [<the>] [<place>] {@path} *",
        "<list> [me] [all] [the] files|entries|contents|content|everything|<dirs> *",
        "ls|dir", "ls|dir {~path}", "list|dir [<in>] <the> <place> *",
        "what|which files are|do *", "what|which <dirs> are|do *", "what are the files *",
    ]),
    (Goal::Survey, &[
        "<survey> [<in>] [the|this] [<place>] {@path} *",
        "<survey> [<in>] [<the>] [<the>] <place> *", "<survey> <here>", "<survey> <here> and|for|in|briefly|shortly *",
        "survey|summarise|summarize|overview", "survey [the] {~path} [folder|directory]",
        "<survey> what [<the>] [<the>] <place> *", "<survey> what <here> is|does *", "what do|does we|i have here",
        "look at|into|around [the] {@path} *",
        "tell me about|of [<the>] [<the>] <place> *", "tell me about <here>", "tell me about [the] [<place>] {@path} *",
        "tell me what [<the>] [<the>] <place> is|does|contains *", "tell me what <here> is|does *", "tell me more",
        "what [is|does|are] [in|inside] [<the>] [<the>] <place> *",
        "what [is|does|are] [in|inside] <here> [do|about|for|contain|all]",
        "what [is] in|inside [the] [<place>] {@path} *",
        "what kind of <place> is *", "what is the purpose of <the> <place> *",
        "what does [the] [<place>] {@path} do|contain|hold|have *", "what is [the] [<place>] {@path} [about|for]",
        "give|show|write [me] a|an [short|brief|quick] overview|summary|description|tour|survey|outline [of|about] <the> <place> *",
        "give|show|write [me] a|an [short|brief|quick] overview|summary|description|tour|survey|outline [of|about] [the] {@path} *",
        "give me a|an [short|brief|quick] overview|summary|description|tour [of] [<here>]",
        "a|an overview|summary|description|tour|survey [of] <the> <place>", "what am i looking at", "where am i", "look around *",
        "look at <the> <place> *", "take a look [around|at] [<the>] [<place>]",
        "how is <the> <place> organised|organized|structured *",
    ]),
];

/// The kinds of files that people call by a word.
const KINDS: &[(&str, &str)] = &[
    ("rust", "rs"),
    ("python", "py"),
    ("markdown", "md"),
    ("text", "txt"),
    ("javascript", "js"),
    ("typescript", "ts"),
    ("golang", "go"),
    ("shell", "sh"),
    ("bash", "sh"),
    ("ruby", "rb"),
    ("c++", "cpp"),
    ("csharp", "cs"),
    ("c#", "cs"),
    ("kotlin", "kt"),
    ("perl", "pl"),
    ("yaml", "yaml"),
];

/// Endings that people say without their dot.
#[rustfmt::skip]
const ENDINGS: &[&str] = &[
    "rs", "py", "md", "txt", "js", "ts", "tsx", "jsx", "go", "c", "h", "cpp", "hpp", "java", "kt", "rb", "php", "sh", "sql",
    "toml", "json", "jsonl", "yaml", "yml", "xml", "html", "css", "csv", "ini", "cfg", "lock", "log", "svg", "png", "jpg",
    "jpeg", "gif", "pdf", "zip", "gz",
];

/// What a prompt means; `None` when no row fits. `before` is the place that was spoken of last.
pub(super) fn understand(prompt: &str, before: Option<&str>) -> Option<Meaning> {
    let words = phrase::words(prompt);
    let (follows, words) = phrase::strip_lead(&words);
    let place = phrase::place(words);
    let path = match (&place, before) {
        (Some(path), _) => path.clone(),
        (None, Some(path)) if follows => path.to_owned(),
        _ => ".".to_owned(),
    };
    let beyond = phrase::beyond(words).map(str::to_owned);
    let asked = |task| {
        Some(Meaning {
            task,
            follows,
            beyond: beyond.clone(),
        })
    };
    for (goal, phrases) in RULES {
        for phrase in *phrases {
            if let Some(captures) = phrase::fit(phrase, words)
                && let Some(task) = make(*goal, &captures, &path)
            {
                return asked(task);
            }
        }
    }
    // "And in `src`?" asks the same of another place; the least that answers it is a survey.
    match place {
        Some(_) if follows && words.len() <= 4 => asked(Task::Survey { path }),
        _ => None,
    }
}

fn make(goal: Goal, captures: &Captures, path: &str) -> Option<Task> {
    let get = |name: &str| captures.get(name);
    let path = phrase::tidy(get("path").unwrap_or(path)).to_owned();
    let measure = |what| {
        Some(Task::Measure {
            what,
            path: path.clone(),
        })
    };
    match goal {
        Goal::Report => Some(Task::Report { path }),
        Goal::Survey => Some(Task::Survey { path }),
        Goal::Files => measure(What::Files),
        Goal::Folders => measure(What::Folders),
        Goal::Lines => measure(What::Lines),
        Goal::Bytes => measure(What::Bytes),
        Goal::Size => measure(What::Size),
        Goal::Largest => measure(What::Largest),
        Goal::Kinds => measure(What::Kinds),
        Goal::Kind => {
            let word = get("kind")?;
            // In `how many .toml files` the ending is no place.
            let path = if path == word { ".".into() } else { path };
            Some(Task::Measure {
                what: What::Kind(kind(word)?),
                path,
            })
        }
        Goal::KindLines => measure(What::KindLines(kind(get("kind")?)?)),
        Goal::Readme => Some(Task::Show {
            file: facts::join(&path, "README.md"),
            from: None,
            count: None,
        }),
        Goal::List => Some(Task::List { path }),
        Goal::Find => {
            let glob = match (get("glob"), get("ending")) {
                (Some(glob), _) => glob_of(glob).filter(|_| glob.contains('*')),
                (_, Some(word)) if !word.contains(['*', '/']) => {
                    kind(word).map(|ending| format!("**/*.{ending}"))
                }
                (_, word) => glob_of(word.or(get("x"))?),
            }?;
            // The name that is looked for is no place to look in.
            let path = match get("path") {
                Some(path) => path.to_owned(),
                None if [get("x"), get("ending"), get("glob")].contains(&Some(&path)) => ".".into(),
                None => path,
            };
            Some(Task::Find { glob, path })
        }
        Goal::Search | Goal::SearchRaw => {
            let said = get("x")?.to_owned();
            let pattern = match (goal, raw(&said)) {
                (Goal::SearchRaw, _) => said.clone(),
                (_, Some(raw)) => raw.to_owned(),
                _ => escape(&said),
            };
            let path = get("path").unwrap_or(".").to_owned();
            Some(Task::Search {
                pattern,
                said,
                path,
            })
        }
        Goal::Show => {
            let file = get("file")?.to_owned();
            let whole = |name| match get(name) {
                None => Some(None),
                Some(text) => text.parse::<u64>().ok().filter(|n| *n > 0).map(Some),
            };
            let (first, last) = (whole("n")?, whole("m")?);
            let (from, count) = match (first, last) {
                (Some(first), Some(last)) => (Some(first), Some((last + 1).checked_sub(first)?)),
                (count, _) => (None, count),
            };
            // A folder is surveyed, not shown.
            if file.ends_with('/') || !phrase::is_file(&file) {
                let path = phrase::tidy(&file).to_owned();
                return Some(Task::Survey { path }).filter(|_| from.is_none());
            }
            Some(Task::Show { file, from, count })
        }
    }
}

/// The ending that a word for a kind of files stands for.
fn kind(word: &str) -> Option<String> {
    let bare = word.trim_start_matches('*').trim_start_matches('.');
    let dotted = bare.len() < word.len();
    let word = bare.to_ascii_lowercase();
    if let Some((_, ending)) = KINDS.iter().find(|(name, _)| *name == word) {
        return Some((*ending).to_owned());
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '+';
    // Words such as "empty" or "hidden" are no endings, unless a dot says that they are.
    let meant = dotted || ENDINGS.contains(&word.as_str());
    (meant && !word.is_empty() && word.len() <= 16 && word.chars().all(fits)).then_some(word)
}

/// The glob that a word for files stands for.
fn glob_of(word: &str) -> Option<String> {
    let word = word.trim();
    if word.contains(' ') {
        return None;
    }
    if word.contains(['*', '?', '[', '{']) {
        let deep = word.contains('/');
        return Some(if deep {
            word.to_owned()
        } else {
            format!("**/{word}")
        });
    }
    if let Some(ending) = word.strip_prefix('.')
        && !ending.contains(['.', '/'])
    {
        return Some(format!("**/*.{ending}"));
    }
    if phrase::is_file(word) {
        return Some(format!("**/{word}"));
    }
    Some(format!("**/*{word}*"))
}

/// The expression between the slashes of `/…/`.
fn raw(said: &str) -> Option<&str> {
    let inner = said.strip_prefix('/')?.strip_suffix('/')?;
    (!inner.is_empty()).then_some(inner)
}

/// The expression that finds exactly this text.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
