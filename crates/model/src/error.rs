//! One error type for every room below the browser shell: a stable code, a sentence, details.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Who is at fault, as a string that stays the same from release to release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The file is damaged, or is no model.
    ModelFormat,
    /// The model needs an operator, or an operator version or attribute, that achado lacks.
    UnsupportedOperator,
    /// The model needs an element type that achado lacks at that place.
    UnsupportedType,
    /// An option of the caller is out of range or contradicts the model.
    InvalidOption,
    /// A picture or tensor of the caller cannot be used.
    InvalidInput,
    /// Neither the file nor the caller says how to prepare the input.
    MetadataMissing,
    /// The model needs more memory than the stated budget.
    OutOfMemory,
    /// Too few pictures or classes to learn from.
    NotEnoughData,
}

impl ErrorCode {
    /// The stable string, as JavaScript sees it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ModelFormat => "MODEL_FORMAT",
            Self::UnsupportedOperator => "UNSUPPORTED_OPERATOR",
            Self::UnsupportedType => "UNSUPPORTED_TYPE",
            Self::InvalidOption => "INVALID_OPTION",
            Self::InvalidInput => "INVALID_INPUT",
            Self::MetadataMissing => "METADATA_MISSING",
            Self::OutOfMemory => "OUT_OF_MEMORY",
            Self::NotEnoughData => "NOT_ENOUGH_DATA",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One value of [`Error::detail`].
#[derive(Clone, Debug, PartialEq)]
pub enum Detail {
    /// A name or a sentence.
    Text(String),
    /// A count, an index or an offset.
    Number(f64),
}

/// What went wrong, for whom, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// Who is at fault.
    pub code: ErrorCode,
    /// Names the tensor or operator, what it needs and what it has.
    pub message: Cow<'static, str>,
    /// The same facts for programs: `tensor`, `operator`, `offset`, `needed`, `found`, ...
    pub detail: BTreeMap<&'static str, Detail>,
}

/// `Result` with achado's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a message and no details yet.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::build(code, message.into())
    }

    // Errors are made in many places and seldom: out of line, the wasm file is a tenth smaller.
    #[cold]
    #[inline(never)]
    fn build(code: ErrorCode, message: Cow<'static, str>) -> Self {
        Self { code, message, detail: BTreeMap::new() }
    }

    #[cold]
    #[inline(never)]
    fn add(&mut self, key: &'static str, value: Detail) {
        self.detail.insert(key, value);
    }

    /// A damaged file.
    pub fn format(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::ModelFormat, message)
    }

    /// An operator, version or attribute that is missing here.
    pub fn unsupported_operator(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::UnsupportedOperator, message)
    }

    /// An element type that is missing here.
    pub fn unsupported_type(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::UnsupportedType, message)
    }

    /// An option out of range.
    pub fn invalid_option(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidOption, message)
    }

    /// The same as the fault of the caller's option `name`.
    #[must_use]
    pub fn in_option(mut self, name: &'static str) -> Self {
        self.code = ErrorCode::InvalidOption;
        self.message = format!("{name}: {}", self.message).into();
        self.with("option", name)
    }

    /// An input that cannot be used.
    pub fn invalid_input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidInput, message)
    }

    /// Too few pictures or classes to learn from.
    pub fn not_enough_data(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::NotEnoughData, message)
    }

    /// Adds a fact for programs.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Detail>) -> Self {
        self.add(key, value.into());
        self
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<usize> for Detail {
    fn from(number: usize) -> Self {
        // Counts and offsets of files below 2^53 bytes are exact in f64, JavaScript's number.
        Self::Number(number as f64)
    }
}

impl From<f64> for Detail {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Error {}
