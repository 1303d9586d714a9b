//! From [`Metadata`] to its FlatBuffer (`metadata_schema.fbs`) and the label files beside it.
#![deny(clippy::arithmetic_side_effects)]

use super::archive_writer::Files;
use super::{Labels, Metadata, TensorMetadata, Trainer, schema};
use crate::flatbuffer_writer::{Table, write as write_flatbuffer};
use crate::limits::Budget;
use crate::{Error, Result};

/// The metadata's bytes; its label files are added to `files`.
pub(crate) fn write(metadata: &Metadata, files: &mut Files) -> Result<Vec<u8>> {
    let mut ends = |tensors: &[TensorMetadata]| -> Result<Vec<Table<'static>>> {
        tensors.iter().map(|tensor| self::tensor(tensor, files)).collect()
    };
    let mut graph = Table::default()
        .tables(schema::subgraph_metadata::INPUT_TENSOR_METADATA, ends(&metadata.inputs)?)
        .tables(schema::subgraph_metadata::OUTPUT_TENSOR_METADATA, ends(&metadata.outputs)?);
    if !metadata.custom.is_empty() {
        let custom = |(name, text): &(String, String)| {
            Table::default().text(schema::custom_metadata::NAME, name.clone()).bytes(
                schema::custom_metadata::DATA,
                text.clone().into_bytes(),
                1,
            )
        };
        let custom = metadata.custom.iter().map(custom).collect();
        graph = graph.tables(schema::subgraph_metadata::CUSTOM_METADATA, custom);
    }
    let mut root = Table::default().tables(schema::model_metadata::SUBGRAPH_METADATA, vec![graph]);
    for (field, text) in [
        (schema::model_metadata::NAME, &metadata.name),
        (schema::model_metadata::DESCRIPTION, &metadata.description),
        (schema::model_metadata::VERSION, &metadata.version),
        (schema::model_metadata::AUTHOR, &metadata.author),
        (schema::model_metadata::LICENSE, &metadata.license),
    ] {
        if !text.is_empty() {
            root = root.text(field, text.clone());
        }
    }
    match metadata.trainer {
        Some(Trainer::Ultralytics) => {
            let said = br#"{"task": "classify", "names": {}}"#;
            files.add(super::reader::BESIDE, said.to_vec())?;
        }
        None => {}
    }
    // All but custom metadata is as old as the schema.
    let oldest = if metadata.custom.is_empty() { "1.0.0" } else { "1.5.0" };
    let root = root.text(schema::model_metadata::MIN_PARSER_VERSION, oldest);
    write_flatbuffer(root, schema::IDENTIFIER)
}

fn tensor(tensor: &TensorMetadata, files: &mut Files) -> Result<Table<'static>> {
    let mut units = Vec::new();
    if let Some(normalization) = &tensor.normalization {
        let options = Table::default()
            .vector(0, normalization.mean.iter().copied())
            .vector(1, normalization.std.iter().copied());
        units.push(process_unit(schema::process_unit::NORMALIZATION, options));
    }
    if let Some(threshold) = tensor.score_threshold {
        let options = Table::default().scalar(0, threshold);
        units.push(process_unit(schema::process_unit::SCORE_THRESHOLDING, options));
    }
    let labels: Result<Vec<_>> =
        tensor.labels.iter().map(|labels| associated_file(labels, files)).collect();
    Ok(Table::default()
        .text(schema::tensor_metadata::NAME, tensor.name.clone())
        .text(schema::tensor_metadata::DESCRIPTION, tensor.description.clone())
        .tables(schema::tensor_metadata::PROCESS_UNITS, units)
        .tables(schema::tensor_metadata::ASSOCIATED_FILES, labels?))
}

fn process_unit(kind: u8, options: Table<'static>) -> Table<'static> {
    Table::default()
        .scalar(schema::process_unit::OPTIONS_TYPE, kind)
        .table(schema::process_unit::OPTIONS, options)
}

/// Names as a JSON array.
fn json(names: &[String]) -> String {
    let quoted = names.iter().map(|name| {
        let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    });
    format!("[{}]\n", quoted.collect::<Vec<_>>().join(", "))
}

fn associated_file(labels: &Labels, files: &mut Files) -> Result<Table<'static>> {
    let Labels { file_name, locale, names } = labels;
    if let Some(bad) = names.iter().find(|name| name.contains(['\n', '\r'])) {
        return Err(Error::invalid_option(format!(
            "the label {bad:?} of {file_name:?} holds a line break: a label file has a name a line"
        ))
        .with("label", bad.clone()));
    }
    let mut content = String::new();
    for name in names {
        content.push_str(name);
        content.push('\n');
    }
    let budget = &mut Budget::for_file(content.len());
    let read = super::labels::parse(content.as_bytes(), file_name, budget);
    // Lines that a reader would take for another format.
    if read.map(|file| file.names).as_ref() != Ok(names) {
        content = json(names);
    }
    files.add(file_name, content.into_bytes())?;
    let table = Table::default()
        .text(schema::associated_file::NAME, file_name.clone())
        .scalar(schema::associated_file::TYPE, schema::associated_file::TENSOR_AXIS_LABELS);
    Ok(match locale.is_empty() {
        true => table,
        false => table.text(schema::associated_file::LOCALE, locale.clone()),
    })
}
