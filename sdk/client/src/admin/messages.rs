//! Finding messages.

use blockhouse_model::MessageId;
use blockhouse_protocol::codes::{request_code, response_code};
use blockhouse_protocol::header::message::{QueryMessage, ViewMessage};

use crate::{Client, Error, Received};

/// Most messages that a search by key returns per broker.
const FOUND_MAX: i32 = 64;

impl Client {
    /// The message with this offset message id, from the broker that the id names.
    ///
    /// # Errors
    /// The id is none, or the broker cannot be reached or has no such message.
    pub async fn message_by_id(&self, topic: Option<&str>, id: &str) -> Result<Received, Error> {
        let parsed = MessageId::parse(id).ok_or_else(|| Error::MessageId(id.to_owned()))?;
        let header = ViewMessage { topic, offset: parsed.offset.to_i64() };
        let (addr, code) = (parsed.host.to_string(), request_code::VIEW_MESSAGE_BY_ID);
        let answer = self.call(&addr, code, |ext| header.write(ext), b"").await?;
        let view = blockhouse_record::View::parse(&answer.body)?;
        Ok(Received::of(&view, ""))
    }

    /// The messages of a topic with this key, or with `unique` this unique key, stored between two
    /// times (in milliseconds).
    ///
    /// # Errors
    /// The topic has no route, or a broker cannot be reached or refuses.
    pub async fn messages_by_key(
        &self,
        topic: &str,
        key: &str,
        unique: bool,
        between: (i64, i64),
    ) -> Result<Vec<Received>, Error> {
        let header = QueryMessage {
            topic,
            key,
            max_num: FOUND_MAX,
            begin_timestamp: between.0,
            end_timestamp: between.1,
            unique_key_query: unique,
            index_type: None,
            last_key: None,
        };
        let mut found = Vec::new();
        for (name, addr) in &self.route(topic).await?.masters {
            let code = request_code::QUERY_MESSAGE;
            match self.call(addr, code, |ext| header.write(ext), b"").await {
                Ok(answer) => {
                    for record in blockhouse_record::records(&answer.body) {
                        found.push(Received::of(&record?, name));
                    }
                }
                Err(e) if e.code() == Some(response_code::QUERY_NOT_FOUND) => {}
                Err(e) => return Err(e),
            }
        }
        found.sort_by_key(|m| m.store_timestamp);
        Ok(found)
    }
}
