//! From the metadata FlatBuffer (`metadata_schema.fbs`, identifier M001) to [`Metadata`].
#![deny(clippy::arithmetic_side_effects)]

use std::ops::Range;

use super::archive::Archive;
use super::labels::{self, LabelFile};
use super::schema::{
    IDENTIFIER, associated_file, custom_metadata, model_metadata, process_unit, subgraph_metadata,
    tensor_metadata,
};
use super::{Labels, Metadata, Normalization, TensorMetadata, Trainer};
use crate::flatbuffer::{Buffer, Table};
use crate::limits::Budget;
use crate::{Bytes, Error, Result};

/// Files that the metadata of one model may name.
const MAX_ASSOCIATED_FILES: usize = 256;
/// Custom entries, and bytes of one: others are left unread.
const MAX_CUSTOM: usize = 16;
const MAX_CUSTOM_BYTES: usize = 4096;
/// Channels of a normalisation.
const MAX_CHANNELS: usize = 1024;

struct Reader<'a> {
    file: &'a [u8],
    archive: Option<Archive<'a>>,
    files: usize,
    trainer: Option<Trainer>,
    budget: &'a mut Budget,
}

/// What Ultralytics' exporter writes into the zip at the end of a model.
pub(super) const BESIDE: &str = "metadata.json";

/// What a file without metadata of its own carries all the same: Ultralytics' newer exports have a
/// zip with [`BESIDE`] behind them.
pub(crate) fn read_beside(file: &Bytes, ends: [usize; 2], budget: &mut Budget) -> Option<Metadata> {
    let LabelFile { names, trainer } = beside(Archive::open(file).ok()??, budget)?;
    let [inputs, outputs] = ends;
    let mut metadata = Metadata {
        inputs: vec![TensorMetadata::default(); inputs],
        outputs: vec![TensorMetadata::default(); outputs],
        trainer: Some(trainer?),
        ..Metadata::default()
    };
    let file_name = BESIDE.to_owned();
    metadata.outputs.first_mut()?.labels = vec![Labels { file_name, locale: String::new(), names }];
    Some(metadata)
}

fn beside(archive: Archive<'_>, budget: &mut Budget) -> Option<LabelFile> {
    labels::parse_beside(&archive.extract(BESIDE, budget).ok()??, budget)
}

/// Reads the metadata at `range` of `file`, and the label lists out of the zip at the file's end.
/// `ends` counts the model's inputs and outputs: the result has one entry for each.
pub(crate) fn read(
    file: &Bytes,
    range: Range<usize>,
    ends: [usize; 2],
    budget: &mut Budget,
) -> Result<Metadata> {
    let start = range.start;
    let bytes = file.get(range).unwrap_or_default();
    let buffer = Buffer::new(bytes, start);
    if buffer.identifier() != Some(IDENTIFIER) {
        return Err(Error::format(format!(
            "the model's metadata at offset {start:#x} does not have the identifier M001: it is \
             damaged or of another version"
        ))
        .with("offset", start));
    }
    let root = buffer.root("the metadata")?;
    let mut reader = Reader { file, archive: None, files: 0, trainer: None, budget };
    let mut metadata = Metadata {
        name: reader.string(root, model_metadata::NAME)?,
        description: reader.string(root, model_metadata::DESCRIPTION)?,
        version: reader.string(root, model_metadata::VERSION)?,
        author: reader.string(root, model_metadata::AUTHOR)?,
        license: reader.string(root, model_metadata::LICENSE)?,
        ..Metadata::default()
    };
    let subgraphs =
        root.tables(model_metadata::SUBGRAPH_METADATA, "the metadata of the subgraphs")?;
    let graph = subgraphs.get(0).transpose()?;
    let [inputs, outputs] = ends;
    metadata.inputs =
        reader.tensors(graph, subgraph_metadata::INPUT_TENSOR_METADATA, inputs, "input")?;
    metadata.outputs =
        reader.tensors(graph, subgraph_metadata::OUTPUT_TENSOR_METADATA, outputs, "output")?;
    if let Some(graph) = graph {
        metadata.custom = reader.custom(graph)?;
    }
    let Reader { archive, trainer, budget, .. } = reader;
    let told = || beside(archive?, budget)?.trainer;
    metadata.trainer = trainer.or_else(told);
    Ok(metadata)
}

impl<'a> Reader<'a> {
    fn string(&mut self, table: Table<'a>, field: u16) -> Result<String> {
        let text = table.string(field, "a string of the metadata")?;
        self.budget.take_bytes(text.len())?;
        Ok(text.into_owned())
    }

    /// Short texts; what is long or no text is another program's.
    fn custom(&mut self, graph: Table<'a>) -> Result<Vec<(String, String)>> {
        let tables = graph.tables(subgraph_metadata::CUSTOM_METADATA, "custom metadata")?;
        let mut texts = Vec::new();
        for table in tables.iter().take(MAX_CUSTOM) {
            let table = table?;
            let data = table.vector::<u8>(custom_metadata::DATA, "custom metadata")?;
            let Ok(text) = str::from_utf8(data.bytes()) else { continue };
            if text.len() > MAX_CUSTOM_BYTES {
                continue;
            }
            self.budget.take_bytes(text.len().saturating_add(size_of::<[String; 4]>()))?;
            texts.push((self.string(table, custom_metadata::NAME)?, text.to_owned()));
        }
        Ok(texts)
    }

    fn tensors(
        &mut self,
        graph: Option<Table<'a>>,
        field: u16,
        count: usize,
        what: &str,
    ) -> Result<Vec<TensorMetadata>> {
        self.budget.take(count, size_of::<TensorMetadata>())?;
        let mut tensors = vec![TensorMetadata::default(); count];
        let Some(graph) = graph else { return Ok(tensors) };
        let tables = graph.tables(field, "the metadata of the tensors")?;
        if tables.len() != 0 && tables.len() != count {
            return Err(Error::format(format!(
                "the metadata describes {} {what}s, the model has {count}",
                tables.len()
            )));
        }
        for (index, (tensor, table)) in tensors.iter_mut().zip(tables.iter()).enumerate() {
            *tensor = self.tensor(table?, &format!("metadata of {what} {index}"))?;
        }
        Ok(tensors)
    }

    fn tensor(&mut self, table: Table<'a>, label: &str) -> Result<TensorMetadata> {
        let mut tensor = TensorMetadata {
            name: self.string(table, tensor_metadata::NAME)?,
            description: self.string(table, tensor_metadata::DESCRIPTION)?,
            ..TensorMetadata::default()
        };
        let units = table.tables(tensor_metadata::PROCESS_UNITS, "process units")?;
        for unit in units.iter() {
            let unit = unit?;
            let Some(options) = unit.table(process_unit::OPTIONS, "a process unit")? else {
                continue;
            };
            match unit.scalar(process_unit::OPTIONS_TYPE, 0u8)? {
                process_unit::NORMALIZATION => {
                    tensor.normalization = Some(self.normalization(options, label)?);
                }
                process_unit::SCORE_THRESHOLDING => {
                    let threshold = options.scalar(0, 0f32)?;
                    if !threshold.is_finite() {
                        return Err(Error::format(format!(
                            "{label}: score threshold {threshold} is not a finite number"
                        )));
                    }
                    tensor.score_threshold = Some(threshold);
                }
                process_unit::SCORE_CALIBRATION => {
                    return Err(Error::unsupported_operator(format!(
                        "{label} asks for score calibration, which is not supported: the scores \
                         would not be those that the model's makers mean"
                    )));
                }
                // Tokenisers are for text.
                _ => {}
            }
        }
        let files = table.tables(tensor_metadata::ASSOCIATED_FILES, "associated files")?;
        for file in files.iter() {
            let file = file?;
            match file.scalar(associated_file::TYPE, 0i8)? {
                associated_file::TENSOR_AXIS_LABELS | associated_file::TENSOR_VALUE_LABELS => {
                    let labels = self.labels(file, label)?;
                    tensor.labels.push(labels);
                }
                _ => {}
            }
        }
        Ok(tensor)
    }

    fn normalization(&mut self, options: Table<'a>, label: &str) -> Result<Normalization> {
        let mean = options.vector::<f32>(0, "the means of a normalisation")?;
        let std = options.vector::<f32>(1, "the standard deviations of a normalisation")?;
        let counts = [mean.len(), std.len()];
        let channels = mean.len().max(std.len());
        if counts.iter().any(|&count| count == 0 || (count != 1 && count != channels))
            || channels > MAX_CHANNELS
        {
            return Err(Error::format(format!(
                "{label}: the normalisation has {} means and {} standard deviations",
                mean.len(),
                std.len()
            )));
        }
        self.budget.take(channels, 8)?;
        self.budget.take(2, 32)?;
        let normalization =
            Normalization { mean: mean.iter().collect(), std: std.iter().collect() };
        let Normalization { mean, std } = &normalization;
        if let Some(bad) = mean.iter().find(|mean| !mean.is_finite()) {
            return Err(Error::format(format!("{label}: a mean is {bad}")));
        }
        if let Some(bad) = std.iter().find(|std| !std.is_finite() || **std == 0.0) {
            return Err(Error::format(format!(
                "{label}: a standard deviation is {bad}, must be a finite number other than 0"
            )));
        }
        Ok(normalization)
    }

    fn labels(&mut self, table: Table<'a>, label: &str) -> Result<Labels> {
        self.files = self.files.saturating_add(1);
        if self.files > MAX_ASSOCIATED_FILES {
            return Err(Error::format(format!(
                "the metadata names more than {MAX_ASSOCIATED_FILES} label files"
            )));
        }
        self.budget.take(2, size_of::<Labels>())?;
        let file_name = self.string(table, associated_file::NAME)?;
        let locale = self.string(table, associated_file::LOCALE)?;
        let archive = match self.archive {
            Some(archive) => archive,
            None => match Archive::open(self.file)? {
                Some(archive) => *self.archive.insert(archive),
                None => {
                    return Err(Error::format(format!(
                        "{label} names the label file {file_name:?}, but there is no zip at the \
                         end of the file: the file is truncated, or was stripped of it"
                    )));
                }
            },
        };
        let text = archive.extract(&file_name, self.budget)?.ok_or_else(|| {
            Error::format(format!(
                "{label} names the label file {file_name:?}, which the zip at the end of the file \
                 does not hold"
            ))
        })?;
        let label = format!("the label file {file_name:?}");
        let LabelFile { names, trainer } = labels::parse(&text, &label, self.budget)?;
        self.trainer = self.trainer.or(trainer);
        Ok(Labels { file_name, locale, names })
    }
}
