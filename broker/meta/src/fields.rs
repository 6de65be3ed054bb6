//! Fields that several of the files have.

use std::collections::BTreeMap;

use blockhouse_model::DataVersion;
use serde_json::{Map, Value};

use crate::json::{Writer, take_object};

const VERSION: &str = "dataVersion";

pub(crate) fn take_version(root: &mut Map<String, Value>) -> Result<DataVersion, String> {
    let version = root.remove(VERSION).filter(|v| !v.is_null());
    let version = version.map(serde_json::from_value).transpose();
    version.map(Option::unwrap_or_default).map_err(|e| format!("{VERSION}: {e}"))
}

pub(crate) fn write_version(w: &mut Writer, version: DataVersion) {
    w.key(VERSION);
    w.open();
    for (name, value) in [
        ("counter", version.counter),
        ("stateVersion", version.state_version),
        ("timestamp", version.timestamp),
    ] {
        w.key(name);
        w.int(value);
    }
    w.close();
}

/// Takes `attributes`. fastjson writes `{"$ref":..}` in place of a map that it wrote before; such
/// a map is shared with another topic and cannot be found again, so it counts as empty.
pub(crate) fn take_attributes(
    fields: &mut Map<String, Value>,
) -> Result<BTreeMap<String, String>, String> {
    let mut attributes = BTreeMap::new();
    for (name, value) in take_object(fields, "attributes")? {
        match value {
            _ if name.starts_with('$') => {}
            Value::String(text) => {
                attributes.insert(name, text);
            }
            other => {
                attributes.insert(name, other.to_string());
            }
        }
    }
    Ok(attributes)
}

pub(crate) fn attributes_value(attributes: &BTreeMap<String, String>) -> Value {
    attributes.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect()
}
