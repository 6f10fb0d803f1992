//! What a ledger says, row by row, and what it does when there are too many.
//! Refuses sums that are nearly right.

use super::*;

#[test]
fn a_ledger_has_a_row_for_each_agent_and_names_what_started_it() {
    let root = Meter::new(Budget::unlimited());
    let path = AgentPath::root();
    root.charge(&tokens(1), micros(10));
    let (explore, place) = root
        .reserve(&path.child("explore"), "Agent", Budget::unlimited())
        .unwrap();
    let below = path.child("explore").child("two");
    let (leaf, _leaf) = explore
        .reserve(&below, "Review", Budget::unlimited())
        .unwrap();
    explore.charge(&tokens(2), Cost::UNKNOWN);
    leaf.charge(&tokens(3), micros(30));
    drop((place, explore));
    let rows: Vec<_> = root
        .ledger()
        .into_iter()
        .map(|row| (row.agent.to_string(), row.tool, row.usage.input, row.cost))
        .collect();
    let tool = |name: &str| Some(name.to_owned());
    assert_eq!(
        rows,
        [
            ("root".into(), None, 1, micros(10)),
            ("root/explore".into(), tool("Agent"), 2, Cost::UNKNOWN),
            ("root/explore/two".into(), tool("Review"), 3, micros(30)),
        ]
    );
    let own = leaf.ledger();
    assert_eq!((own.len(), &own[0].agent, &own[0].tool), (1, &below, &None));
}

#[test]
fn a_ledger_is_bounded_and_its_sum_is_exact() {
    let many = 5_000;
    let root = Meter::new(Budget::unlimited().live(many).spawns(many));
    for n in 0..many {
        let (meter, place) = child(&root, &format!("a{n:04}"), Budget::unlimited()).unwrap();
        meter.charge(&tokens(n), micros(1));
        drop((meter, place));
        if n % 500 == 0 {
            assert_eq!(sum(&root.ledger()), root.spent());
        }
    }
    let rows = root.ledger();
    assert_eq!(rows.len(), MAX_LEDGER_ROWS);
    assert_eq!(sum(&rows), root.spent());
    assert_eq!(root.spent().0.input, many * (many - 1) / 2);
    assert_eq!(root.spent().1.micros, many);
    let more: Vec<_> = rows
        .iter()
        .filter(|row| row.tool.as_deref() == Some(MORE))
        .collect();
    // The root, 998 agents, and the rest in one row.
    assert_eq!((more.len(), &more[0].agent), (1, &AgentPath::root()));
    assert_eq!(more[0].usage.requests, many - 998);
    // What is kept for them is bounded as well.
    let books = root.books();
    assert_eq!((books.len(), books.kept), (1, 998));
}

#[test]
fn a_ledger_of_too_many_living_agents_is_bounded_too() {
    let many = 2_000;
    let root = Meter::new(Budget::unlimited().live(many).spawns(many));
    let held: Vec<_> = (0..many / 2)
        .flat_map(|n| {
            let path = AgentPath::root().child(&n.to_string());
            let above = root.reserve(&path, "Agent", Budget::unlimited()).unwrap();
            let below = above
                .0
                .reserve(&path.child("x"), "Agent", Budget::unlimited());
            [above, below.unwrap()]
        })
        .collect();
    held.iter()
        .for_each(|(meter, _)| meter.charge(&tokens(3), micros(1)));
    let rows = root.ledger();
    assert!(rows.len() <= MAX_LEDGER_ROWS, "{}", rows.len());
    assert_eq!(sum(&rows), root.spent());
    drop(held);
    // Once they have ended there is one agent in the books, and room for the rows of most.
    let rows = root.ledger();
    assert_eq!(sum(&rows), root.spent());
    assert!(
        (900..=MAX_LEDGER_ROWS).contains(&rows.len()),
        "{}",
        rows.len()
    );
    assert_eq!(root.books().len(), 1);
}
