//! The languages that there is a toolchain for here.

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Rust: cargo.
    #[default]
    Rust,
    /// C: clang.
    C,
    /// Go: its usual compiler.
    Go,
    /// JavaScript: componentize-js.
    JavaScript,
    /// Python: componentize-py.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rust, Self::C, Self::Go, Self::JavaScript, Self::Python];

    /// Its name in `sdk.language` of a manifest.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Go => "go",
            Self::JavaScript => "js",
            Self::Python => "python",
        }
    }

    /// The one of this name. A manifest without one is of Rust.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "" => Some(Self::Rust),
            "javascript" => Some(Self::JavaScript),
            name => Self::ALL.into_iter().find(|language| language.name() == name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for language in Language::ALL {
            assert_eq!(Language::of(language.name()), Some(language));
        }
        assert_eq!(Language::of(""), Some(Language::Rust));
        assert_eq!(Language::of("JavaScript"), Some(Language::JavaScript));
        assert_eq!(Language::of("cobol"), None);
    }
}
