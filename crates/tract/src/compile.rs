//! From the bytes of a file to tract's plan, with a look at the sizes between its steps.

use achado_model::{Bytes, DataType, Error, ErrorCode, Result, Tensor};
use achado_onnx::{InputOutline, Outline, elsewhere};
use tract_onnx::prelude::*;

use crate::plan::{Input, Plan};
use crate::refusal::OrRefuse;

/// Of one value of the graph: a picture of 4096 x 4096 in floats has less. tract fills what it
/// allocates, some operators element by element.
const MAX_VALUE_BYTES: u64 = 1 << 28;
/// Of the graph: its analysis takes more time than in proportion.
const MAX_NODES: usize = 1 << 14;
/// Compiles a model whose outline was taken.
///
/// # Errors
/// `UNSUPPORTED_OPERATOR` with tract's words, or for more than [`MAX_NODES`]; `OUT_OF_MEMORY` for
/// values beyond [`MAX_VALUE_BYTES`].
pub(crate) fn compile(file: &Bytes, outline: &Outline) -> Result<Plan> {
    // Shapes of the file's inner values may have names for what is a number by now.
    let framework = onnx().with_ignore_value_info(true);
    let mut bytes: &[u8] = file;
    let proto = framework.proto_model_for_read(&mut bytes).or_refuse()?;
    let nodes = proto.graph.as_ref().map(|graph| &graph.node[..]).unwrap_or_default();
    if nodes.len() > MAX_NODES {
        let found = nodes.len();
        let message = format!("{found} nodes are too many for tract; {MAX_NODES} are the most");
        return Err(Error::unsupported_operator(message).with("found", found));
    }
    for node in nodes {
        elsewhere::check_operator(&node.domain, &node.op_type)?;
    }
    let mut model = framework.model_for_proto_model(&proto).or_refuse()?;
    drop(proto);
    if model.input_outlets().or_refuse()?.len() != outline.inputs.len() {
        return Err(Error::format("two inputs have the same name"));
    }
    for (index, input) in outline.inputs.iter().enumerate() {
        let fact = InferenceFact::dt_shape(datum_type(input.dtype), &input.shape);
        model.set_input_fact(index, fact).or_refuse()?;
    }
    let mut model = model.into_typed().or_refuse()?;
    check_sizes(&model)?;
    model.declutter().or_refuse()?;
    check_sizes(&model)?;
    model.optimize().or_refuse()?;
    check_sizes(&model)?;
    let outputs: Result<Vec<Tensor>> = (outline.outputs.iter().enumerate())
        .map(|(index, output)| output_tensor(&output.name, model.output_fact(index).or_refuse()?))
        .collect();
    let outputs = outputs?;
    let inputs = outline.inputs.iter().map(input).collect::<Result<Vec<_>>>()?;
    Ok(Plan::new(model.into_runnable().or_refuse()?, inputs, outputs))
}

fn check_sizes(model: &TypedModel) -> Result<()> {
    for node in model.nodes() {
        for output in &node.outputs {
            let size = u64::try_from(output.fact.datum_type.size_of()).unwrap_or(u64::MAX);
            // A size that is known when it runs is none that could be checked.
            let dims = output.fact.shape.iter().filter_map(|dim| dim.to_i64().ok());
            let bytes = dims.fold(size, |bytes, dim| {
                bytes.saturating_mul(u64::try_from(dim).unwrap_or(u64::MAX).max(1))
            });
            if bytes > MAX_VALUE_BYTES {
                let message = format!(
                    "{:?} ({}) gives {bytes} bytes; {MAX_VALUE_BYTES} are the most",
                    node.name,
                    node.op.name()
                );
                return Err(Error::new(ErrorCode::OutOfMemory, message)
                    .with("needed", bytes as f64)
                    .with("tensor", node.name.as_str()));
            }
        }
    }
    Ok(())
}

fn input(outline: &InputOutline) -> Result<Input> {
    let tensor = Tensor {
        name: outline.name.clone(),
        dtype: outline.dtype,
        shape: outline.shape.clone(),
        dynamic: outline.dynamic.clone(),
        quantization: None,
        data: None,
    };
    let elements = tract_onnx::prelude::Tensor::zero_dt(datum_type(outline.dtype), &outline.shape);
    Ok(Input::new(tensor, elements.or_refuse()?, outline.is_channels_first))
}

fn output_tensor(name: &str, fact: &TypedFact) -> Result<Tensor> {
    let Some(dtype) = data_type(fact.datum_type) else {
        return Err(Error::unsupported_type(format!(
            "output {name:?} is {}, which is not supported",
            format!("{:?}", fact.datum_type).to_lowercase()
        ))
        .with("tensor", name));
    };
    let Some(shape) = fact.shape.as_concrete() else {
        return Err(Error::unsupported_operator(format!(
            "output {name:?} has a shape that is known only when the model runs: [{}]",
            fact.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ))
        .with("tensor", name));
    };
    Ok(Tensor {
        name: name.to_owned(),
        dtype,
        shape: shape.to_vec(),
        dynamic: Vec::new(),
        quantization: None,
        data: None,
    })
}

fn datum_type(dtype: DataType) -> DatumType {
    match dtype {
        DataType::Float32 => DatumType::F32,
        DataType::Float16 => DatumType::F16,
        DataType::Int8 => DatumType::I8,
        DataType::UInt8 => DatumType::U8,
        DataType::Int16 => DatumType::I16,
        DataType::Int32 => DatumType::I32,
        DataType::Int64 => DatumType::I64,
        DataType::Bool => DatumType::Bool,
    }
}

/// Quantised integers are integers in ONNX; a dimension is an int64 there.
fn data_type(datum_type: DatumType) -> Option<DataType> {
    Some(match datum_type.unquantized() {
        DatumType::F32 => DataType::Float32,
        DatumType::F16 => DataType::Float16,
        DatumType::I8 => DataType::Int8,
        DatumType::U8 => DataType::UInt8,
        DatumType::I16 => DataType::Int16,
        DatumType::I32 => DataType::Int32,
        DatumType::I64 | DatumType::TDim => DataType::Int64,
        DatumType::Bool => DataType::Bool,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracts_operators_are_those_that_are_offered() {
        let framework = onnx();
        let mut registered: Vec<&str> =
            framework.op_register.0.keys().map(String::as_str).collect();
        registered.sort_unstable();
        assert_eq!(registered, elsewhere::TRACT);
    }
}
