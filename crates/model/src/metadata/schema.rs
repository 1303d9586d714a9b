//! The part of `metadata_schema.fbs` that is read and written: the numbers of fields and unions.

/// The file identifier.
pub(crate) const IDENTIFIER: &[u8; 4] = b"M001";

pub(crate) mod model_metadata {
    pub const NAME: u16 = 0;
    pub const DESCRIPTION: u16 = 1;
    pub const VERSION: u16 = 2;
    pub const SUBGRAPH_METADATA: u16 = 3;
    pub const AUTHOR: u16 = 4;
    pub const LICENSE: u16 = 5;
    pub const MIN_PARSER_VERSION: u16 = 7;
}

pub(crate) mod subgraph_metadata {
    pub const INPUT_TENSOR_METADATA: u16 = 2;
    pub const OUTPUT_TENSOR_METADATA: u16 = 3;
    pub const CUSTOM_METADATA: u16 = 9;
}

pub(crate) mod custom_metadata {
    pub const NAME: u16 = 0;
    pub const DATA: u16 = 1;
}

pub(crate) mod tensor_metadata {
    pub const NAME: u16 = 0;
    pub const DESCRIPTION: u16 = 1;
    pub const PROCESS_UNITS: u16 = 4;
    pub const ASSOCIATED_FILES: u16 = 6;
}

pub(crate) mod process_unit {
    pub const OPTIONS_TYPE: u16 = 0;
    pub const OPTIONS: u16 = 1;
    // The union `ProcessUnitOptions`.
    pub const NORMALIZATION: u8 = 1;
    pub const SCORE_CALIBRATION: u8 = 2;
    pub const SCORE_THRESHOLDING: u8 = 3;
}

pub(crate) mod associated_file {
    pub const NAME: u16 = 0;
    pub const TYPE: u16 = 2;
    pub const LOCALE: u16 = 3;
    // The enum `AssociatedFileType`.
    pub const TENSOR_AXIS_LABELS: i8 = 2;
    pub const TENSOR_VALUE_LABELS: i8 = 3;
}
