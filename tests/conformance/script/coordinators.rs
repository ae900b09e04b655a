//! Coordinators live on the partitions of internal topics, and these are made when somebody first asks who coordinates.

use crate::conformance::player::{Answer, Case, Player};
use crate::conformance::requests::{self, Topic};

pub(super) const CASES: &[Case] = &[Case {
    name: "coordinators-come-up",
    needs: None,
    play: come_up,
}];

fn come_up(player: &mut Player<'_, '_>) -> Result<(), String> {
    let init = requests::init(Some("nobody-yet"), (-1, -1));
    player.ask(
        "a transactional id before anybody asked who coordinates it",
        4,
        &init,
    )?;
    let topic = Topic {
        name: "nowhere".into(),
        id: [7; 16],
    };
    let fetch = requests::offset_fetch(7, "nobody-yet", &topic, false);
    player.ask("a group before anybody asked who coordinates it", 7, &fetch)?;
    // Not there yet, or there at once: both are right, so only the end is written down.
    let found = |answer: &Answer| answer.int("coordinators.0.errorCode") == Some(0);
    for (kind, key) in [(1, "nobody-yet"), (0, "nobody-yet")] {
        player.until(
            "a coordinator",
            4,
            &requests::find_coordinator(4, kind, key),
            found,
        )?;
        player.ask("who coordinates it", 4, &requests::find_coordinator(4, kind, key))?;
    }
    let passing: &[i64] = &[14, 15, 16];
    player.settled("the transactional id", 4, &init, ("errorCode", passing))?;
    player.settled("the group", 7, &fetch, ("errorCode", passing))?;
    Ok(())
}
