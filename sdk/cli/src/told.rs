//! Requests and clients, as people are told of them.

/// The name of a code in lower case, as in metrics; the number where there is none.
pub(crate) fn code(name: &str, code: i32) -> String {
    if name == "UNKNOWN" { code.to_string() } else { name.to_ascii_lowercase() }
}

/// An address without its port.
pub(crate) fn ip(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(ip, _)| ip).trim_matches(['[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_without_a_name_is_a_number() {
        assert_eq!(
            (code("SEND_MESSAGE", 10), code("UNKNOWN", 7)),
            ("send_message".into(), "7".into())
        );
    }

    #[test]
    fn an_address_is_told_without_its_port() {
        assert_eq!([ip("10.0.0.5:1"), ip("[::1]:2"), ip("here")], ["10.0.0.5", "::1", "here"]);
    }
}
