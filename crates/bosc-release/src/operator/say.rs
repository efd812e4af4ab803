//! Keeps what an operator signed, puts it into the DHT, and reads it back.

use super::Work;
use super::book::{Book, behind};
use super::signed::{Spoken, from_text};
use crate::command::{Outcome, Stop};
use crate::engine::Engine;
use crate::engine::drive::parse_whole_link;
use crate::engine::errors::no_dht;
use crate::error::{CommandError, ErrorKind};
use crate::policy::event::{Heard, Stated};
use crate::policy::look::ASK_FOR;
use crate::policy::shown::StatementShown;
use bosc_follow::{FollowError, Wait};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_node::{RecordAnswer, RecordError};
use std::sync::PoisonError;

/// What is done about a statement that nobody has yet.
const AGAIN: &str = "it is signed and kept in this store: check the network, then run the command again, which goes on from it";

impl Engine {
    pub(crate) fn operator(&self, work: &Work, stop: &Stop) -> Outcome {
        match work {
            Work::Prepare(request) => Ok(Box::new(self.prepare_statement(request, stop)?).into()),
            Work::Say { link, record } => {
                let link = parse_whole_link(link)?;
                Ok(Box::new(self.say(&link, &from_text(record)?, stop)?).into())
            }
            Work::PrepareFile { manifest, what, keys } => {
                Ok(Box::new(self.prepare_for_manifest(manifest, what, keys)?).into())
            }
            Work::SayFile { manifest, record } => {
                Ok(Box::new(self.say_for_manifest(manifest, &from_text(record)?, stop)?).into())
            }
        }
    }

    /// Keeps a statement and puts it. Read back before it counts as said.
    pub(super) fn say(&self, link: &PearLink, spoken: &Spoken, stop: &Stop) -> Result<Stated, CommandError> {
        let statement = spoken.statement.statement();
        if statement.link != link.key {
            return Err(CommandError::new(
                ErrorKind::Integrity,
                "ERR_INTEGRITY",
                "the statement is about another link",
            ));
        }
        let node = self.node()?;
        {
            let _alone = self.speaking.lock().unwrap_or_else(PoisonError::into_inner);
            Book::of(&self.dir).keep(spoken)?;
        }
        let put = node.put_signed(spoken.record.clone());
        let mut wait = Wait::new(stop).timeout(2 * ASK_FOR);
        let answer = wait.run(put.signal(), |_| Ok::<_, FollowError>(put.answer()))?;
        let nodes = match answer {
            Some(Ok(RecordAnswer::Kept(nodes))) if nodes > 0 => nodes,
            Some(Err(RecordError::Newer | RecordError::Taken)) => return Err(behind()),
            _ => return Err(self.not_kept()),
        };
        let word = self.words_of(&link.key, &[*spoken.record.key()], None, stop)?.pop();
        match word {
            Some(word)
                if word.heard == Heard::Statement && word.statement.as_ref() == Some(&spoken.statement) => {}
            Some(word) if word.seq > spoken.record.seq() => return Err(behind()),
            _ => return Err(self.not_kept()),
        }
        Ok(Stated {
            link: link.to_string(),
            operator: id::encode(spoken.record.key()),
            statement: StatementShown::of(statement),
            nodes,
            file: None,
        })
    }

    fn not_kept(&self) -> CommandError {
        match self.unanswered() {
            Some(tried) => {
                let e = no_dht(&tried);
                let hint = format!("{AGAIN}. {}", e.hint_text());
                e.hint(hint)
            }
            None => CommandError::new(
                ErrorKind::Network,
                "ERR_NOT_KEPT",
                "no node of the DHT keeps the statement, or none gave it back",
            )
            .hint(AGAIN),
        }
    }
}
