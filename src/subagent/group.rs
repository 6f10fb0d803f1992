//! Agents that belong together: how many of them must end, and what becomes of the others.
//! Refuses to lose what is finished: a group that has what it needs only stops who still runs.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio_util::sync::CancellationToken;

use super::{
    child::{Answered, Child},
    kind::AgentKinds,
    open::Refusal,
    order::Order,
};
use crate::{backend::Grant, message::Outcome};

/// When a group has what it needs; then whoever still runs is stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GroupPolicy {
    /// When everyone has ended, however they did. A failure stops nobody.
    #[default]
    All,
    /// When one has ended, however it did.
    Any,
    /// When one has succeeded.
    FirstGood,
    /// When so many have succeeded.
    Quorum(u32),
}

impl GroupPolicy {
    fn is_met(self, ended: u32, good: u32) -> bool {
        match self {
            Self::All => false,
            Self::Any => ended >= 1,
            Self::FirstGood => good >= 1,
            Self::Quorum(count) => good >= count,
        }
    }
}

/// Agents that a program opens together.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use offshoot::{
///     Agent, AgentGroup, AgentKinds, GroupPolicy, Order, Session, provider::Offline,
/// };
///
/// let session = Session::new(Agent::builder(Offline::new()).build()?);
/// let grant = session.grant().expect("the native agent can have children");
/// let ended = AgentGroup::new(GroupPolicy::FirstGood)
///     .with(Order::new("explore", "What can you do?"))
///     .with(Order::new("plan", "What can you do?"))
///     .run(&grant, &AgentKinds::builtin())
///     .await;
/// assert!(ended.iter().flatten().any(|answered| !answered.text.is_empty()));
/// # Ok::<(), offshoot::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct AgentGroup {
    policy: GroupPolicy,
    orders: Vec<Order>,
}

impl AgentGroup {
    /// A group of nobody yet.
    pub fn new(policy: GroupPolicy) -> Self {
        Self {
            policy,
            orders: Vec::new(),
        }
    }

    /// With one more agent.
    pub fn with(mut self, order: Order) -> Self {
        self.orders.push(order);
        self
    }

    /// Runs the group below `grant` (a session's, or that of the agent that calls a tool) and says
    /// how each agent ended, in the order they were added; one that was refused says so.
    ///
    /// Cancel safety: dropping it stops everyone who still runs.
    pub async fn run(self, grant: &Grant, kinds: &AgentKinds) -> Vec<Result<Answered, Refusal>> {
        let group = Arc::new(Group::new(self.policy));
        let member = |(index, order): (usize, Order)| {
            let mut place = Place(group.clone());
            async move {
                // Nobody waits in the background here: the group itself does.
                let order = Order {
                    ground: crate::event::Ground::Foreground,
                    ..order
                };
                let ended = match Box::pin(Child::open(grant, kinds, order)).await {
                    Err(refusal) => Err(refusal),
                    Ok(mut child) => Ok(match place.ended(&mut child).await {
                        Verdict::Counts(answered) | Verdict::NotNeeded(answered) => answered,
                    }),
                };
                (index, ended)
            }
        };
        let members = self.orders.into_iter().enumerate().map(member);
        let running: FuturesUnordered<_> = members.collect();
        let mut ended: Vec<_> = running.collect().await;
        ended.sort_by_key(|(index, _)| *index);
        ended.into_iter().map(|(_, ended)| ended).collect()
    }
}

/// Who has ended in a group, and whether it has what it needs.
struct Group {
    policy: GroupPolicy,
    ended: Mutex<(u32, u32)>,
    met: CancellationToken,
}

/// One agent's place in a group.
pub(super) struct Place(Arc<Group>);

/// Whether the group still needed an agent when it ended.
pub(super) enum Verdict {
    Counts(Answered),
    NotNeeded(Answered),
}

impl Group {
    fn new(policy: GroupPolicy) -> Self {
        Self {
            policy,
            ended: Mutex::default(),
            met: CancellationToken::new(),
        }
    }

    /// Counts an end; what was finished counts also when the group had what it needs.
    fn count(&self, outcome: Outcome) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.0 += 1;
        ended.1 += u32::from(outcome == Outcome::Ok);
        if self.policy.is_met(ended.0, ended.1) {
            self.met.cancel();
        }
    }
}

impl Place {
    /// Waits for a child's end, or stops it when the group has what it needs.
    ///
    /// Cancel safety: safe, it can be called again.
    pub(super) async fn ended(&mut self, child: &mut Child) -> Verdict {
        let answered = tokio::select! {
            biased;
            answered = child.answered() => answered,
            () = self.0.met.cancelled() => {
                child.scope().cancel();
                let answered = child.answered().await;
                if answered.outcome != Outcome::Ok {
                    return Verdict::NotNeeded(answered);
                }
                answered
            }
        };
        self.0.count(answered.outcome);
        Verdict::Counts(answered)
    }
}

/// The groups that calls of one message form, by name. A group is known as long as its message, so
/// that a call which begins when the group has what it needs is told so.
#[derive(Default)]
pub(super) struct Groups(Mutex<Vec<Named>>);

struct Named {
    message: Weak<()>,
    name: String,
    group: Arc<Group>,
}

impl Groups {
    /// A place in the group of this name; the first call of it says by which policy it goes.
    pub(super) fn join(&self, message: &Arc<()>, name: &str, policy: GroupPolicy) -> Place {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|named| named.message.strong_count() > 0);
        let same = |named: &&Named| {
            named.name == name && std::ptr::eq(named.message.as_ptr(), Arc::as_ptr(message))
        };
        if let Some(known) = groups.iter().find(same) {
            return Place(known.group.clone());
        }
        let group = Arc::new(Group::new(policy));
        groups.push(Named {
            message: Arc::downgrade(message),
            name: name.to_owned(),
            group: group.clone(),
        });
        Place(group)
    }
}
