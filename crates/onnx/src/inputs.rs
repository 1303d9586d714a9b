//! The graph's inputs: their types, their shapes, and how pictures lie in them.
#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;

use achado_model::{DataType, Error, Result, Signature};

use crate::ImportOptions;
use crate::constant::{elements, type_name};
use crate::import::{Importer, TensorValue, Value};
use crate::proto::{Dim, ValueInfo, shape_text};
use crate::view::View;

impl<'a> Importer<'a> {
    pub fn add_inputs(&mut self, options: &ImportOptions) -> Result<()> {
        let graph = self.graph;
        let is_input = |name: &str| {
            !self.initializers.contains(name) && graph.inputs.iter().any(|info| info.name == name)
        };
        check_names(
            options,
            graph.inputs.iter().map(|info| info.name).filter(|name| is_input(name)),
        )?;
        let mut signature = Vec::new();
        for info in &graph.inputs {
            // Old files name their initializers among the inputs.
            if self.initializers.contains(info.name) {
                continue;
            }
            let flat = flat_picture(info, options);
            let dims = match &flat {
                Some((picture, _)) => picture.clone(),
                None => input_dims(info, options)?,
            };
            let dtype = match info.data_type {
                1 | 10 | 11 | 16 => DataType::Float32,
                2 => DataType::UInt8,
                3 => DataType::Int8,
                5 => DataType::Int16,
                6 => DataType::Int32,
                7 => DataType::Int64,
                9 => DataType::Bool,
                other => {
                    let kind = type_name(other);
                    return Err(Error::unsupported_type(format!(
                        "input {:?} has the element type {kind}, which is not supported",
                        info.name
                    ))
                    .with("tensor", info.name)
                    .with("type", kind));
                }
            };
            let channels_first = match (&flat, &dims[..]) {
                (None, [_, _, _, _]) => self.is_channels_first(info.name, &dims),
                (Some(_), [_, 1 | 3, _, w]) => !matches!(w, 1 | 3),
                _ => false,
            };
            let order: Vec<usize> =
                if channels_first { vec![0, 2, 3, 1] } else { (0..dims.len()).collect() };
            let shape: Vec<usize> =
                order.iter().map(|&axis| dims.get(axis).copied().unwrap_or(1)).collect();
            let tensor = self.builder.add_tensor(info.name, dtype, &shape, None)?;
            self.builder.model.inputs.push(tensor);
            signature.push((info.name.to_owned(), tensor));
            let view = View::new(tensor, &shape, &order);
            let view = match &flat {
                // Its dimensions divide the row, so that the view is never refused.
                Some((_, row)) => view.reshape(row).unwrap_or(view),
                None => view,
            };
            self.values.insert(info.name, Value::Tensor(TensorValue { view, dtype }));
            self.order.inputs.push(order);
        }
        self.builder.model.signatures = vec![Signature {
            key: "serving_default".to_owned(),
            inputs: signature,
            outputs: Vec::new(),
        }];
        Ok(())
    }

    /// Whether an input of four dimensions is `[n, c, h, w]`, by who reads it.
    pub fn is_channels_first(&self, name: &'a str, dims: &[usize]) -> bool {
        let mut names = vec![name];
        let mut seen = BTreeSet::new();
        while let Some(name) = names.pop() {
            for &reader in self.readers(name) {
                let Some(node) = self.graph.nodes.get(reader) else { continue };
                if !seen.insert(reader) {
                    continue;
                }
                match node.operator {
                    "Transpose" => {
                        let site = self.site(reader);
                        let order = site.and_then(|site| site.ints("perm").ok().flatten());
                        if order == Some(&[0, 3, 1, 2]) {
                            return false;
                        }
                    }
                    "Conv"
                    | "ConvInteger"
                    | "ConvTranspose"
                    | "MaxPool"
                    | "AveragePool"
                    | "GlobalAveragePool"
                    | "Resize"
                    | "BatchNormalization"
                    | "QLinearConv"
                    | "Upsample"
                    | "InstanceNormalization" => return true,
                    "QuantizeLinear"
                    | "DequantizeLinear"
                    | "DynamicQuantizeLinear"
                    | "Cast"
                    | "Add"
                    | "Sub"
                    | "Mul"
                    | "Div"
                    | "Pad"
                    | "Identity"
                    | "Clip"
                    | "Relu" => {
                        names.extend(node.outputs.first().copied());
                    }
                    _ => {}
                }
            }
        }
        matches!(dims.get(1), Some(1 | 3 | 4))
    }
}

/// Refuses shapes of inputs that the model does not have.
pub(crate) fn check_names<'a>(
    options: &ImportOptions,
    inputs: impl Iterator<Item = &'a str>,
) -> Result<()> {
    if options.input_shapes.is_empty() {
        return Ok(());
    }
    let inputs: Vec<&str> = inputs.collect();
    match options.input_shapes.iter().find(|(name, _)| !inputs.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, _)) => Err(Error::invalid_option(format!(
            "inputShapes: there is no input {name:?}; there are {inputs:?}"
        ))),
    }
}

/// For a row of numbers, `[n]` or `[1, n]`, that the caller declares as a picture: the picture's
/// dimensions and the row's. Its elements are in the order of the caller's shape.
fn flat_picture(info: &ValueInfo<'_>, options: &ImportOptions) -> Option<(Vec<usize>, Vec<usize>)> {
    let (_, picture) = options.input_shapes.iter().find(|(known, _)| known == info.name)?;
    let row = match info.dims.as_deref()? {
        [Dim::Known(n)] => vec![usize::try_from(*n).ok()?],
        [Dim::Known(1) | Dim::Open(_), Dim::Known(n)] => vec![1, usize::try_from(*n).ok()?],
        _ => return None,
    };
    let fits = picture.len() > row.len()
        && elements(picture).ok()? == row.iter().product::<usize>()
        && picture.iter().all(|&side| side > 0);
    fits.then(|| (picture.clone(), row))
}

/// The dimensions of an input: an open first one is a batch of 1, others the caller must know.
pub(crate) fn input_dims(info: &ValueInfo<'_>, options: &ImportOptions) -> Result<Vec<usize>> {
    let name = info.name;
    let error = |what: String| Error::format(format!("input {name:?} {what}")).with("tensor", name);
    let given = options.input_shapes.iter().find(|(known, _)| known == name);
    let Some(declared) = &info.dims else {
        return match given {
            Some((_, shape)) => Ok(shape.clone()),
            None => Err(Error::invalid_option(format!(
                "input {name:?} has no shape in the file; give one by inputShapes"
            ))
            .with("tensor", name)),
        };
    };
    if let Some((_, shape)) = given {
        let fits = shape.len() == declared.len()
            && shape.iter().zip(declared).all(|(&size, dim)| match *dim {
                Dim::Known(known) => usize::try_from(known) == Ok(size),
                Dim::Open(_) => size > 0,
            });
        if !fits {
            return Err(Error::invalid_option(format!(
                "inputShapes: {shape:?} does not fit input {name:?}, which is {}",
                shape_text(declared)
            ))
            .with("tensor", name));
        }
        return Ok(shape.clone());
    }
    let mut dims = Vec::with_capacity(declared.len());
    for (at, dim) in declared.iter().enumerate() {
        dims.push(match *dim {
            Dim::Known(size) => usize::try_from(size)
                .ok()
                .ok_or_else(|| error(format!("has a dimension of {size}")))?,
            Dim::Open(_) if at == 0 => 1,
            Dim::Open(_) => {
                let shape = shape_text(declared);
                return Err(Error::invalid_option(format!(
                    "input {name:?} leaves dimension {at} of {shape} open; give its shape by \
                     inputShapes"
                ))
                .with("tensor", name)
                .with("dimension", at));
            }
        });
    }
    elements(&dims).map_err(|cause| error(format!("is too large: {cause}")))?;
    Ok(dims)
}
