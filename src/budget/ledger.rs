//! Who spent what: one row an agent, and sums that stay exact when there are too many.
//! Refuses to grow without end; what finds no room is added up, never dropped.

use std::collections::BTreeMap;

use super::books::{Books, Id, Node, Sum};
use crate::{id::AgentPath, usage::Spending};

/// How many rows a ledger has at most.
pub const MAX_LEDGER_ROWS: usize = 1_000;

/// The tool in rows that sum up agents which found no room for rows of their own.
pub const MORE: &str = "…more";

impl Books {
    /// Keeps what an agent spent that is no longer in the books, with the one above it.
    ///
    /// While there is room its row stays as it is; later it goes into the sum of the one above.
    pub(super) fn fold(&mut self, mut node: Node, above: Id) {
        // The one that is leaving still counts.
        let has_room = self.len() + 1 + self.kept + self.mores < self.room;
        let mut below = node.gone.take().unwrap_or_default();
        let more = below.more.take();
        self.mores -= usize::from(more.is_some());
        let mut homeless = None;
        if has_room {
            let own = row(&node.agent, &node.tool, node.own);
            let more = more.map(|more| row(&node.agent, MORE, more));
            for row in std::iter::once(own).chain(more) {
                below.rows.push(row);
                self.kept += 1;
            }
        } else {
            let mut sum = node.own;
            sum += more.unwrap_or_default();
            homeless = Some(sum);
        }
        let up = self.node_mut(above).gone.get_or_insert_default();
        up.folded += node.own;
        up.folded += below.folded;
        // The shorter list goes into the longer one, so that rows are seldom moved.
        if up.rows.len() < below.rows.len() {
            std::mem::swap(&mut up.rows, &mut below.rows);
        }
        up.rows.append(&mut below.rows);
        if let Some(sum) = homeless {
            let is_first = up.more.is_none();
            *up.more.get_or_insert_default() += sum;
            self.mores += usize::from(is_first);
        }
    }

    /// The rows of an agent and of everything that was ever below it, sorted by path.
    pub(super) fn ledger(&self, top: Id) -> Vec<Spending> {
        let alone = self.node(top);
        if alone.below.is_empty() && alone.gone.is_none() {
            return vec![row(&alone.agent, "", alone.own)];
        }
        let wanted = self.rows(top);
        let room = if wanted <= self.room {
            self.room
        } else {
            // The other half is for the sums: there is at most one to each row.
            self.room / 2
        };
        let mut rows: Vec<Spending> = Vec::with_capacity(wanted.min(room));
        // By the index of the row of the agent that they stand below.
        let mut mores: BTreeMap<usize, Sum> = BTreeMap::new();
        // Level by level, so that what stands high keeps its row when there are too many.
        let mut open = vec![(top, 0)];
        let mut at = 0;
        while let Some((id, bucket)) = open.get_mut(at) {
            let node = self.node(*id);
            if rows.len() < room {
                *bucket = rows.len();
                rows.push(row(&node.agent, &node.tool, node.own));
            } else {
                *mores.entry(*bucket).or_default() += node.own;
            }
            let bucket = *bucket;
            open.extend(node.below.iter().map(|below| (*below, bucket)));
            at += 1;
        }
        // Those who are gone come last.
        for (id, bucket) in open {
            let Some(left) = &self.node(id).gone else {
                continue;
            };
            if let Some(more) = left.more {
                *mores.entry(bucket).or_default() += more;
            }
            for gone in &left.rows {
                if rows.len() < room {
                    rows.push(gone.clone());
                } else {
                    let sum = mores.entry(bucket).or_default();
                    sum.usage += gone.usage;
                    sum.cost += gone.cost;
                }
            }
        }
        if let Some(own) = rows.first_mut() {
            own.tool = None;
        }
        for (bucket, sum) in mores {
            rows.push(row(&rows[bucket].agent, MORE, sum));
        }
        rows.sort_by(|a, b| (&a.agent, &a.tool).cmp(&(&b.agent, &b.tool)));
        rows
    }

    fn rows(&self, top: Id) -> usize {
        let (mut rows, mut open) = (0, vec![top]);
        while let Some(id) = open.pop() {
            let node = self.node(id);
            rows += 1;
            if let Some(gone) = &node.gone {
                rows += gone.rows.len() + usize::from(gone.more.is_some());
            }
            open.extend(&node.below);
        }
        rows
    }
}

fn row(agent: &AgentPath, tool: &str, sum: Sum) -> Spending {
    let tool = (!tool.is_empty()).then(|| tool.to_owned());
    Spending::new(agent.clone(), tool, sum.usage, sum.cost)
}
