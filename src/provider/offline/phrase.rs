//! Words of a prompt, and the small matcher that holds them against a phrase of the table.
//! Refuses to know what phrases mean; it says only whether one fits and what stood in its gaps.

use super::rules::CLASSES;

/// Words of a prompt that are looked at; the rest of a longer one is not read.
const MAX_WORDS: usize = 80;

/// One word, or one quoted passage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    text: String,
    lower: String,
    quoted: bool,
}

impl Word {
    fn plain(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            lower: text.to_lowercase(),
            quoted: false,
        }
    }

    fn quoted(text: &str) -> Self {
        Self {
            quoted: true,
            ..Self::plain(text)
        }
    }

    /// Whether it looks like a path: quoted, or with a slash, or with a dot inside or in front.
    pub(super) fn is_path(&self) -> bool {
        let text = &self.text;
        let dotted = text.trim_end_matches('.').contains('.') && !is_figure(text);
        self.quoted || text.contains('/') || dotted || text == "." || text == ".."
    }

    fn is_any(&self, alternatives: &str) -> bool {
        !self.quoted && alternatives.split('|').any(|one| self.is_one(one))
    }

    fn is_one(&self, one: &str) -> bool {
        match one
            .strip_prefix('<')
            .and_then(|name| name.strip_suffix('>'))
        {
            Some(name) => class(name).contains(&self.lower.as_str()),
            None => self.lower == one,
        }
    }

    /// Whether it can be the name of something, rather than a word of the language around names.
    fn is_name(&self) -> bool {
        let around = [
            "there", "total", "all", "detail", "full", "english", "general", "me", "for", "brief",
        ];
        let filler = around.contains(&self.lower.as_str())
            || ["the", "place", "here", "in"]
                .iter()
                .any(|name| class(name).contains(&self.lower.as_str()));
        self.quoted || !filler
    }
}

fn class(name: &str) -> &'static [&'static str] {
    let row = CLASSES.iter().find(|(class, _)| *class == name);
    row.map_or(&[], |(_, words)| words)
}

fn is_figure(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_digit() || c == '.' || c == ',')
}

/// Whether a path looks like a file's, rather than a folder's.
pub(super) fn is_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let known = [
        "makefile",
        "dockerfile",
        "license",
        "readme",
        "justfile",
        "changelog",
    ];
    let dotted = name.trim_start_matches('.').contains('.') && !name.starts_with("..");
    dotted
        || (name.len() > 1 && name.starts_with('.') && name != "..")
        || known.contains(&name.to_lowercase().as_str())
}

/// The words of a prompt. What stands in quotes is one word; marks at the end of a word are dropped.
pub(super) fn words(prompt: &str) -> Vec<Word> {
    let mut out = Vec::new();
    let mut rest = prompt.trim_start();
    while let Some(first) = rest.chars().next()
        && out.len() < MAX_WORDS
    {
        let close = match first {
            '"' => Some('"'),
            '`' => Some('`'),
            '\'' => Some('\''),
            '“' => Some('”'),
            '«' => Some('»'),
            _ => None,
        };
        let inside = close.and_then(|close| {
            let body = &rest[first.len_utf8()..];
            let end = body.find(close)?;
            Some((&body[..end], &body[end + close.len_utf8()..]))
        });
        if let Some((inside, after)) = inside
            && !inside.trim().is_empty()
        {
            out.push(Word::quoted(inside));
            rest = after
                .trim_start_matches(|c: char| ".,;:!?".contains(c))
                .trim_start();
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let bare = word
            .trim_end_matches(|c: char| ",;:!?)".contains(c))
            .trim_start_matches('(');
        // A full stop ends a sentence, except where it is the whole word.
        let bare = match bare.trim_end_matches('.') {
            "" => bare,
            cut => cut,
        };
        let bare = bare.replace('’', "'");
        match bare.strip_suffix("'s") {
            // `what's` is two words; in other words the ending means possession.
            Some(front) if Word::plain(front).is_any("what|where|which|who|how|it|that") => {
                out.extend([Word::plain(front), Word::plain("is")]);
            }
            _ if bare.is_empty() => {}
            _ => out.push(Word::plain(&bare)),
        }
        rest = after.trim_start();
    }
    out
}

/// Drops words that only lead in. Says whether they go on from what was said before.
pub(super) fn strip_lead(words: &[Word]) -> (bool, &[Word]) {
    const POLITE: &str = "please|can|could|would|will|you|hey|hi|hello|ok|okay|so|now|just|kindly|i|want|to|like|know|need|us|let|quickly|first|also";
    const FOLLOWS: &str = "and|then|also|what about|how about";
    let (mut follows, mut rest) = (false, words);
    loop {
        rest = match rest {
            [a, b, more @ ..] if a.is_any("what|how") && b.is_any("about") && !more.is_empty() => {
                follows = true;
                more
            }
            [a, more @ ..] if a.is_any(FOLLOWS) && !more.is_empty() => {
                follows = true;
                more
            }
            [a, more @ ..] if a.is_any(POLITE) && !more.is_empty() => more,
            _ => break,
        };
    }
    while let [more @ .., last] = rest
        && last.is_any("please|thanks|now|then|exactly|altogether|overall")
        && !more.is_empty()
    {
        rest = more;
    }
    (follows, rest)
}

/// The place a prompt speaks of: a path, or the last word after `in`.
pub(super) fn place(words: &[Word]) -> Option<String> {
    let inside = "in|inside|under|within|below";
    let after_in = (1..words.len()).rev().find(|at| {
        let word = &words[*at];
        let last = at + 1 == words.len();
        words[at - 1].is_any(inside) && (word.is_path() || (last && word.is_name()))
    });
    // `the tests folder`, but not `the root folder`.
    let told = words.windows(2).find(|pair| {
        let general = "root|top|main|parent|home|same|other|each|any|every|empty|new|sub|next";
        pair[1].is_any("folder|directory") && pair[0].is_name() && !pair[0].is_any(general)
    });
    let named = told
        .map(|pair| &pair[0])
        .filter(|word| !word.is_any("<survey>|what|which|how"));
    let path = after_in.and_then(|at| words.get(at));
    let path = path
        .or(named)
        .or_else(|| words.iter().find(|word| word.is_path()));
    Some(tidy(&path?.text).to_owned())
}

/// A path without slashes at its end.
pub(super) fn tidy(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if path.starts_with('/') => "/",
        tidy => tidy,
    }
}

/// A verb that asks for more than reading, as in `survey this and fix the bugs`.
pub(super) fn beyond(words: &[Word]) -> Option<&str> {
    const ACTS: &str = "fix|write|change|edit|refactor|rewrite|create|delete|remove|implement|add|run|execute|install|build|compile|translate|commit|rename|move|improve|optimise|optimize|test|debug|update";
    let pair = words
        .windows(2)
        .find(|pair| pair[0].is_any("and|then") && pair[1].is_any(ACTS))?;
    Some(&pair[1].text)
}

/// What stood in the gaps of a phrase.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Captures(Vec<(&'static str, String)>);

impl Captures {
    /// The text in the gap of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let row = self.0.iter().find(|(key, _)| *key == name);
        row.map(|(_, text)| text.as_str())
    }
}

/// Holds words against a phrase.
///
/// In a phrase `a|b` is either word, `<name>` a class of words, `[a|b]` may be missing, `*` is any
/// words or none, `%` the rest if it only says where, `{x}` at least one word, `{@x}` one word that looks like a path, `{~x}` one word
/// that can be a name.
pub(super) fn fit(phrase: &'static str, words: &[Word]) -> Option<Captures> {
    let tokens = phrase.split_whitespace().collect::<Vec<_>>();
    let mut captures = Captures::default();
    step(&tokens, words, &mut captures).then_some(captures)
}

fn step(tokens: &[&'static str], words: &[Word], captures: &mut Captures) -> bool {
    let Some((token, later)) = tokens.split_first() else {
        return words.is_empty();
    };
    if *token == "*" {
        return (0..=words.len()).any(|n| step(later, &words[n..], captures));
    }
    if *token == "%" {
        return later.is_empty() && (0..words.len()).all(|at| is_rest(words, at));
    }
    if let Some(gap) = token
        .strip_prefix('{')
        .and_then(|gap| gap.strip_suffix('}'))
    {
        let name = gap.trim_start_matches(['@', '~']);
        let most = if name == gap {
            words.len()
        } else {
            words.len().min(1)
        };
        for n in 1..=most {
            let taken = &words[..n];
            let right = match &gap[..1] {
                "@" => taken[0].is_path(),
                "~" => taken[0].is_name(),
                _ => true,
            };
            let depth = captures.0.len();
            let texts = taken
                .iter()
                .map(|word| word.text.as_str())
                .collect::<Vec<_>>();
            captures.0.push((name, texts.join(" ")));
            if right && step(later, &words[n..], captures) {
                return true;
            }
            captures.0.truncate(depth);
        }
        return false;
    }
    if let Some(optional) = token
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        if let Some((first, rest)) = words.split_first()
            && first.is_any(optional)
            && step(later, rest, captures)
        {
            return true;
        }
        return step(later, words, captures);
    }
    match words.split_first() {
        Some((first, rest)) => first.is_any(token) && step(later, rest, captures),
        None => false,
    }
}

/// Whether a word only says where, or fills: a question with other words in it asks for less than
/// everything, and everything would be the wrong answer.
fn is_rest(words: &[Word], at: usize) -> bool {
    let word = &words[at];
    let placed = at > 0 && words[at - 1].is_any("in|inside|under|within|below|<the>");
    let before_folder = words
        .get(at + 1)
        .is_some_and(|next| next.is_any("folder|directory"));
    word.is_path()
        || word.is_any("<rest>|<the>|<place>|<here>|<in>")
        || (placed && (at + 1 == words.len() || before_folder))
}
