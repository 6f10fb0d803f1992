//! Helpers that find no room, are refused, or cannot do it.
//! Refuses reports, which have a file of their own.

use super::*;

#[tokio::test]
async fn who_finds_no_room_is_sent_once_more() {
    let folder = wide(50);
    let mut refused = HashMap::new();
    let mut talk = talk(20);
    let heard = talk
        .ask(PROMPT, |call| {
            let again = ["part-06", "part-13", "part-31"].contains(&target_of(call).as_str());
            if again && refused.insert(target(call), ()).is_none() {
                let text = "refused: `live_children` is 20; wait until one ends\nhint";
                return (Outcome::Failed, text.into());
            }
            tree(&folder)(call)
        })
        .await;
    let checked = check_together(&heard.text, &folder);
    assert_eq!(checked.named.len(), 50);
    // No more than were let in the last time are sent the next time.
    assert_eq!(batches(&talk), [20, 18, 15]);
    assert_eq!(refused.len(), 3);
    assert!(
        heard.text.contains(&folder.truth().sentence()),
        "{}",
        heard.text
    );
    assert!(!heard.text.contains("myself"), "{}", heard.text);
}

#[tokio::test]
async fn who_is_refused_twice_is_replaced() {
    let folder = wide(6);
    let mut tries = BTreeMap::new();
    let mut talk = talk(6);
    let heard = talk
        .ask(PROMPT, |call| {
            if target_of(call) == "part-03" {
                *tries.entry(target(call)).or_insert(0) += 1;
                return (Outcome::Failed, "no room: live_children".into());
            }
            tree(&folder)(call)
        })
        .await;
    check_together(&heard.text, &folder);
    assert_eq!(tries["part-03"], 2, "once more, not for ever");
    let why = "I surveyed `part-03/` myself: its helper failed: “no room: live_children”.";
    assert!(heard.text.contains(why), "{}", heard.text);
    assert!(
        heard.text.contains(&folder.truth().sentence()),
        "{}",
        heard.text
    );
}

#[tokio::test]
async fn a_limit_in_the_middle_ends_the_sending_and_not_the_work() {
    let folder = wide(28);
    for (word, expected) in [("spawns", vec![10, 10]), ("depth", vec![10, 10])] {
        let mut sent = 0;
        let mut talk = talk(10);
        let heard = talk
            .ask(PROMPT, |call| {
                sent += usize::from(call.name == "Agent");
                match call.name.as_str() {
                    "Agent" if sent > 16 => (Outcome::Failed, format!("limit reached: `{word}`")),
                    _ => tree(&folder)(call),
                }
            })
            .await;
        assert_eq!(
            batches(&talk),
            expected,
            "nobody is sent into a closed door"
        );
        // Sixteen have reported, ten more were looked at without a helper, two are missing.
        let missing = "`part-26/`, `part-27/` are missing from these figures: no more helpers \
                       could be sent.";
        assert!(heard.text.contains(missing), "{}", heard.text);
        assert!(
            heard
                .text
                .contains("This is what was surveyed of it. It holds "),
            "{}",
            heard.text
        );
        let all = folder
            .truth()
            .sentence()
            .replace("It holds ", "`LS` counts ");
        let all = all.replace("bytes.", "bytes in the whole.");
        assert!(heard.text.contains(&all), "no {all} in\n{}", heard.text);
        let known = ["part-26", "part-27"].map(|sub| folder.truth_of(sub));
        let whole = folder.truth();
        let files = whole.files - known[0].files - known[1].files;
        let part = format!("It holds {} in", folder::units(files, "file"));
        assert!(heard.text.contains(&part), "no {part} in\n{}", heard.text);
        let lines = whole.lines - known[0].lines - known[1].lines;
        let part = format!("I count {} in", folder::units(lines, "line"));
        assert!(heard.text.contains(&part), "no {part} in\n{}", heard.text);
    }
}

#[tokio::test]
async fn without_a_single_helper_it_is_the_survey_of_one() {
    let folder = wide(12);
    let refusals = [
        (Outcome::Failed, "too deep: `depth` is 3", 10),
        (Outcome::Denied, "by a rule", 10),
        (Outcome::TimedOut, "no answer in time", 12),
        (Outcome::Failed, "`live_children` is 0", 13),
    ];
    for (outcome, text, calls) in refusals {
        let mut talk = talk(10);
        let heard = talk
            .ask(PROMPT, |call| match call.name.as_str() {
                "Agent" => (outcome, text.to_owned()),
                _ => folder.run(call),
            })
            .await;
        let own = "No helper could survey a sub-folder for me, so I looked myself. About the \
                   first, `part-00/`: its helper ";
        assert!(heard.text.contains(own), "{}", heard.text);
        check(&heard.text, &folder.truth());
        assert!(
            heard.text.contains(&folder.truth().sentence()),
            "{}",
            heard.text
        );
        assert!(
            batches(&talk).iter().sum::<usize>() >= calls,
            "{:?}",
            batches(&talk)
        );
        assert!(batches(&talk).len() < 30);
    }
}

#[tokio::test]
async fn what_cannot_be_found_out_at_all_is_missing() {
    let folder = wide(4);
    let heard = talk(10)
        .ask(PROMPT, |call| {
            let there = call.input.as_str().contains("part-02");
            match there {
                true => (Outcome::Failed, "it is locked".into()),
                false => tree(&folder)(call),
            }
        })
        .await;
    let missing = "`part-02/` is missing from these figures: its helper failed: “it is locked”.";
    assert!(heard.text.contains(missing), "{}", heard.text);
    let line = "- `part-02/`";
    assert!(!heard.text.contains(line), "{}", heard.text);
    assert!(heard.text.contains("`LS` counts "), "{}", heard.text);
}
