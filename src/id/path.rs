//! Where an agent stands in its tree: a linked path, in which each place knows the one above it.
//! Refuses to write the way down into every place: a chain of ten thousand agents stays linear.

use std::{
    cmp::Ordering,
    collections::hash_map::DefaultHasher,
    fmt,
    hash::{Hash, Hasher},
    iter,
    str::FromStr,
    sync::{Arc, LazyLock, OnceLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, ErrorKind};

/// So many characters of a name are kept.
const MAX_NAME: usize = 64;
/// A text of so many bytes is remembered when it is printed; a longer one is put together anew.
const REMEMBERED: usize = 1024;
/// So much of a text that is not a path is repeated in the error.
const SHOWN: usize = 200;

/// Where an agent stands in its tree: `root`, `root/explore`, `root/explore/2`.
///
/// Each step is a name that may be followed by a number: `root/explore/2` is the second `explore`
/// below `root`, and `root` is its parent. Cheap to clone; compared, hashed, printed and stored as
/// its text.
///
/// ```
/// use offshoot::AgentPath;
///
/// let path = AgentPath::root().nth("explore", 2);
/// assert_eq!(path.as_str(), "root/explore/2");
/// assert_eq!((path.step(), path.name(), path.depth()), ("explore/2", "explore", 1));
/// assert_eq!(path.parent(), Some(AgentPath::root()));
/// assert_eq!("root/explore/2".parse::<AgentPath>().unwrap(), path);
/// ```
#[derive(Clone)]
pub struct AgentPath(Arc<Place>);

struct Place {
    parent: Option<AgentPath>,
    /// The name and, after a slash, the number.
    step: Box<str>,
    /// So many bytes of the step are the name.
    name: usize,
    depth: usize,
    /// Of the whole text, in bytes.
    length: usize,
    /// Of the whole text, so that a deep path is hashed and told from another at once.
    hash: u64,
    text: OnceLock<Box<str>>,
}

static ROOT: LazyLock<AgentPath> = LazyLock::new(|| AgentPath::build(None, "root".into(), 4));

impl AgentPath {
    /// The top of every tree.
    pub fn root() -> Self {
        ROOT.clone()
    }

    /// The place below this one with the given name.
    ///
    /// A slash or a control character in the name becomes a dash, a name of digits only gets a
    /// leading `_`, an empty name becomes `_`, and 64 characters are kept.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let step = clean(name);
        let length = step.len();
        Self::build(Some(self.clone()), step, length)
    }

    /// The place of the `n`th of this name below this one; the name as in [`child`](Self::child).
    #[must_use]
    pub fn nth(&self, name: &str, n: u64) -> Self {
        let name = clean(name);
        Self::build(Some(self.clone()), format!("{name}/{n}"), name.len())
    }

    fn build(parent: Option<Self>, step: String, name: usize) -> Self {
        let mut hasher = DefaultHasher::new();
        step.hash(&mut hasher);
        let (mut depth, mut length) = (0, step.len());
        if let Some(Self(above)) = &parent {
            above.hash.hash(&mut hasher);
            depth = above.depth + 1;
            length += above.length + 1;
        }
        Self(Arc::new(Place {
            parent,
            step: step.into(),
            name,
            depth,
            length,
            hash: hasher.finish(),
            text: OnceLock::new(),
        }))
    }

    /// The place above; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.parent.clone()
    }

    /// Whether the other place lies somewhere below this one.
    pub fn is_above(&self, other: &Self) -> bool {
        let mut above = other.parent();
        while let Some(place) = above {
            if place.depth() < self.depth() {
                return false;
            }
            if place == *self {
                return true;
            }
            above = place.parent();
        }
        false
    }

    /// How many places lie above.
    pub fn depth(&self) -> usize {
        self.0.depth
    }

    /// The last step: the name and, where it has one, the number.
    pub fn step(&self) -> &str {
        &self.0.step
    }

    /// The name in the last step, without the number.
    pub fn name(&self) -> &str {
        &self.0.step[..self.0.name]
    }

    /// The path as text. It is put together once and then remembered.
    pub fn as_str(&self) -> &str {
        if self.0.parent.is_none() {
            return &self.0.step;
        }
        self.0.text.get_or_init(|| {
            let mut text = String::with_capacity(self.0.length);
            for (at, step) in self.steps().into_iter().enumerate() {
                if at > 0 {
                    text.push('/');
                }
                text.push_str(step);
            }
            text.into()
        })
    }

    #[cfg(test)]
    pub(super) fn remembers(&self) -> bool {
        self.0.text.get().is_some()
    }

    /// This place and all above it, upwards.
    fn upwards(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |path| path.0.parent.as_ref())
    }

    /// The steps from the top.
    fn steps(&self) -> Vec<&str> {
        let mut steps: Vec<_> = self.upwards().map(Self::step).collect();
        steps.reverse();
        steps
    }
}

/// The name as it stands in a path. Cleaning twice changes nothing more.
fn clean(name: &str) -> String {
    let tame = |c: char| if c == '/' || c.is_control() { '-' } else { c };
    let name: String = name.chars().take(MAX_NAME).map(tame).collect();
    // Digits alone would be read as the number of the name before them.
    if name.bytes().all(|b| b.is_ascii_digit()) {
        return iter::once('_').chain(name.chars()).take(MAX_NAME).collect();
    }
    name
}

impl FromStr for AgentPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            let shown: String = text.chars().take(SHOWN).collect();
            Error::new(
                ErrorKind::Config,
                format!("not the path of an agent: `{shown}`"),
            )
            .with_hint("A path looks like `root/explore/2`.")
        };
        let mut segments = text.split('/').peekable();
        if segments.next() != Some("root") {
            return Err(wrong());
        }
        let mut path = Self::root();
        while let Some(name) = segments.next() {
            let digits = |s: &&str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
            let (below, same) = match segments.next_if(digits) {
                None => {
                    let below = path.child(name);
                    let same = below.step() == name;
                    (below, same)
                }
                Some(number) => {
                    let below = path.nth(name, number.parse().map_err(|_| wrong())?);
                    let same = below.step().strip_prefix(name) == Some(&format!("/{number}"));
                    (below, same)
                }
            };
            // What no agent can be called is no path.
            if !same {
                return Err(wrong());
            }
            path = below;
        }
        Ok(path)
    }
}

impl PartialEq for AgentPath {
    fn eq(&self, other: &Self) -> bool {
        if self.0.hash != other.0.hash || self.0.length != other.0.length {
            return false;
        }
        let (mut left, mut right) = (self, other);
        while !Arc::ptr_eq(&left.0, &right.0) {
            if left.0.step != right.0.step {
                return false;
            }
            match (&left.0.parent, &right.0.parent) {
                (Some(l), Some(r)) => (left, right) = (l, r),
                (None, None) => return true,
                _ => return false,
            }
        }
        true
    }
}

impl Eq for AgentPath {}

impl Hash for AgentPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl Ord for AgentPath {
    /// As the texts compare, without putting them together.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut left, mut right) = (Some(self), Some(other));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // Up to the place that both lie below: what is above it is the same text.
        loop {
            let depth = |path: Option<&Self>| path.map(|p| p.0.depth + 1).unwrap_or_default();
            let same = match (left, right) {
                (Some(l), Some(r)) => Arc::ptr_eq(&l.0, &r.0),
                (None, None) => true,
                _ => false,
            };
            if same {
                break;
            }
            let deeper = depth(left).cmp(&depth(right));
            if deeper.is_ge()
                && let Some(path) = left
            {
                ours.push(path.step());
                left = path.0.parent.as_ref();
            }
            if deeper.is_le()
                && let Some(path) = right
            {
                theirs.push(path.step());
                right = path.0.parent.as_ref();
            }
        }
        bytes(&ours).cmp(bytes(&theirs))
    }
}

/// The text of steps that were collected upwards, each with its slash.
fn bytes<'a>(steps: &'a [&'a str]) -> impl Iterator<Item = u8> + 'a {
    let step = |step: &&'a str| iter::once(b'/').chain(step.bytes());
    steps.iter().rev().flat_map(step)
}

impl PartialOrd for AgentPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for AgentPath {
    fn default() -> Self {
        Self::root()
    }
}

impl fmt::Display for AgentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.length <= REMEMBERED {
            return f.write_str(self.as_str());
        }
        // To remember the text of each place of a long chain would cost the square of its length.
        for (at, step) in self.steps().into_iter().enumerate() {
            if at > 0 {
                f.write_str("/")?;
            }
            f.write_str(step)?;
        }
        Ok(())
    }
}

impl fmt::Debug for AgentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentPath({self})")
    }
}

impl Serialize for AgentPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.length {
            ..=REMEMBERED => serializer.serialize_str(self.as_str()),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for AgentPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A loop instead of recursion: a chain of ten thousand places must not overflow a stack.
        let mut next = self.parent.take();
        while let Some(AgentPath(place)) = next {
            next = Arc::into_inner(place).and_then(|mut place| place.parent.take());
        }
    }
}
