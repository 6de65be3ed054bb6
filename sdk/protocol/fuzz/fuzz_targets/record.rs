//! Stored records, which are the pull reply as well: what is taken for one lies within the bytes,
//! and looking at all of it is safe.
#![no_main]

use std::hint::black_box;

use blockhouse_record::{Checked, View, check, records};
use libfuzzer_sys::fuzz_target;

fn look(view: &View<'_>, data: &[u8]) {
    assert!(view.bytes.len() <= data.len());
    assert!(view.body.len() + view.topic.len() + view.properties.len() <= view.bytes.len());
    black_box((view.property("KEYS"), view.is_intact()));
}

fuzz_target!(|data: &[u8]| {
    if let Ok(view) = View::parse(data) {
        look(&view, data);
        // What was parsed once is parsed from its own bytes alone.
        assert_eq!(View::parse(view.bytes).map(|again| again.bytes), Ok(view.bytes));
    }
    if let Ok(Checked::Message(view)) = check(data) {
        look(&view, data);
        assert!(view.is_intact());
    }
    let mut total = 0;
    let mut failed = false;
    for record in records(data) {
        assert!(!failed, "nothing comes after an error");
        match record {
            Ok(view) => {
                look(&view, data);
                total += view.bytes.len();
            }
            Err(_) => failed = true,
        }
    }
    assert!(total <= data.len());
});
