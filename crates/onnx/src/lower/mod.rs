//! From ONNX's operators to the model's: one file a family.

mod activation;
mod calculator;
mod convolution;
mod creation;
pub(crate) mod dynamic;
mod einsum;
mod elementwise;
mod grid;
pub(crate) mod indexing;
mod linear;
mod mathematics;
mod movement;
mod normalization;
mod pool;
mod qoperator;
pub(crate) mod quantized;
mod recurrent;
mod reduce;
mod resize;
mod sampling;
mod select;
mod spatial;
mod statistics;
mod tail;
mod window;

use achado_model::{Activation, Operator, Result};

use self::spatial::Pool;
use crate::import::Importer;
use crate::patterns::{Pattern, PatternKind};
use crate::site::Site;

/// Lowers one node.
pub(crate) fn lower<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    match site.node.domain {
        "" => lower_own(importer, site),
        "com.microsoft" => qoperator::lower(importer, site),
        _ => Err(missing(site)),
    }
}

/// The error for an operator that is not known here.
fn missing(site: &Site<'_>) -> achado_model::Error {
    site.unsupported("this operator is not supported")
}

fn lower_own<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let unary = |importer: &mut Importer<'a>, operator| activation::unary(importer, site, operator);
    let binary = |importer: &mut Importer<'a>, operator: fn(Activation) -> Operator| {
        elementwise::binary(importer, site, operator)
    };
    match site.node.operator {
        "Conv" => convolution::conv(importer, site),
        "ConvTranspose" => convolution::conv_transpose(importer, site),
        "MaxPool" => pool::max_pool(importer, site),
        "AveragePool" => pool::average_pool(importer, site),
        "GlobalAveragePool" => pool::global_average_pool(importer, site),
        "GlobalMaxPool" => pool::global_max_pool(importer, site),
        "Gemm" => linear::gemm(importer, site),
        "MatMul" => linear::mat_mul(importer, site),

        "QuantizeLinear" => quantized::quantize_linear(importer, site),
        "DequantizeLinear" => quantized::dequantize_linear(importer, site),
        "QLinearConv" => qoperator::conv(importer, site),
        "QLinearMatMul" => qoperator::mat_mul(importer, site),
        "DynamicQuantizeLinear" => dynamic::quantize(importer, site),
        "ConvInteger" | "MatMulInteger" => dynamic::accumulate(importer, site),

        "Add" => binary(importer, |activation| Operator::Add { activation }),
        "Sub" => binary(importer, |activation| Operator::Sub { activation }),
        "Mul" => binary(importer, |activation| Operator::Mul { activation }),
        "Div" => binary(importer, |activation| Operator::Div { activation }),
        "Pow" => elementwise::pow(importer, site),
        "Max" => elementwise::variadic(importer, site, Operator::Maximum),
        "Min" => elementwise::variadic(importer, site, Operator::Minimum),
        "Sum" => {
            let activation = Activation::None;
            elementwise::variadic(importer, site, Operator::Add { activation })
        }
        "Mod" => elementwise::modulo(importer, site),
        "Equal" => elementwise::compare(importer, site, Operator::Equal),
        "Less" => elementwise::compare(importer, site, Operator::Less),
        "LessOrEqual" => elementwise::compare(importer, site, Operator::LessEqual),
        "Greater" => elementwise::compare(importer, site, Operator::Greater),
        "GreaterOrEqual" => elementwise::compare(importer, site, Operator::GreaterEqual),
        "And" => elementwise::compare(importer, site, Operator::LogicalAnd),
        "Or" => elementwise::compare(importer, site, Operator::LogicalOr),
        "Where" => elementwise::select(importer, site),
        "Not" => unary(importer, Operator::LogicalNot),

        "Relu" => unary(importer, Operator::Relu),
        "Sigmoid" => unary(importer, Operator::Logistic),
        "Tanh" => unary(importer, Operator::Tanh),
        "HardSwish" => unary(importer, Operator::HardSwish),
        "Abs" => unary(importer, Operator::Abs),
        "Neg" => unary(importer, Operator::Neg),
        "Exp" => unary(importer, Operator::Exp),
        "Log" => unary(importer, Operator::Log),
        "Sqrt" => unary(importer, Operator::Sqrt),
        "Floor" => unary(importer, Operator::Floor),
        "Ceil" => unary(importer, Operator::Ceil),
        "Round" => unary(importer, Operator::Round),
        "Sign" => unary(importer, Operator::Sign),
        "Sin" => unary(importer, Operator::Sin),
        "Cos" => unary(importer, Operator::Cos),
        "Clip" => activation::clip(importer, site),
        "LeakyRelu" => activation::leaky_relu(importer, site),
        "PRelu" => activation::prelu(importer, site),
        "Elu" => activation::elu(importer, site),
        "Selu" => activation::selu(importer, site),
        "HardSigmoid" => activation::hard_sigmoid(importer, site),
        "Softplus" => activation::softplus(importer, site),
        "Softsign" => activation::softsign(importer, site),
        "Mish" => activation::mish(importer, site),
        "Gelu" => activation::gelu(importer, site),
        "Reciprocal" => activation::reciprocal(importer, site),
        "Softmax" => activation::softmax(importer, site),
        "LogSoftmax" => activation::log_softmax(importer, site),

        "BatchNormalization" => normalization::batch(importer, site),
        "InstanceNormalization" => normalization::instance(importer, site),
        "LayerNormalization" => normalization::layer(importer, site),
        "GroupNormalization" => normalization::group(importer, site),
        "LRN" => normalization::local_response(importer, site),
        "LpNormalization" => normalization::lp(importer, site),

        "Mean" => elementwise::mean(importer, site),
        "Xor" => elementwise::compare(importer, site, Operator::NotEqual),
        "Hardmax" => activation::hardmax(importer, site),
        "LpPool" => spatial::pool(importer, site, Pool::Power),
        "GlobalLpPool" => pool::global_any(importer, site, Pool::Power),
        "RMSNormalization" => statistics::root_mean_square(importer, site),
        "MeanVarianceNormalization" => statistics::mean_variance(importer, site),
        "Einsum" => einsum::einsum(importer, site),
        "LSTM" | "GRU" | "RNN" => recurrent::lower(importer, site),
        "GridSample" => grid::grid_sample(importer, site),
        "AffineGrid" => grid::affine_grid(importer, site),
        "GatherElements" => indexing::gather_elements(importer, site),
        "GatherND" => indexing::gather_nd(importer, site),
        "Scatter" | "ScatterElements" | "ScatterND" => indexing::scatter(importer, site),
        "OneHot" => indexing::one_hot(importer, site),
        "Trilu" => indexing::trilu(importer, site),
        "EyeLike" => indexing::eye_like(importer, site),
        "Compress" => indexing::compress(importer, site),
        "ReverseSequence" => indexing::reverse_sequence(importer, site),
        "CenterCropPad" => indexing::center_crop_pad(importer, site),
        "Col2Im" => indexing::columns_to_image(importer, site),
        "MaxUnpool" => indexing::max_unpool(importer, site),
        "CastLike" => movement::cast_like(importer, site),
        "ReduceLogSum" => reduce::log_sum(importer, site, false),
        "ReduceLogSumExp" => reduce::log_sum(importer, site, true),

        "Identity" => movement::identity(importer, site),
        "Dropout" => movement::dropout(importer, site),
        "Cast" => movement::cast(importer, site),
        "Transpose" => movement::transpose(importer, site),
        "Reshape" => movement::reshape(importer, site),
        "Flatten" => movement::flatten(importer, site),
        "Squeeze" => movement::squeeze(importer, site),
        "Unsqueeze" => movement::unsqueeze(importer, site),
        "DepthToSpace" => movement::depth_to_space(importer, site),
        "SpaceToDepth" => movement::space_to_depth(importer, site),
        "Concat" => movement::concat(importer, site),
        "Split" => select::split(importer, site),
        "Slice" => select::slice(importer, site),
        "Gather" => select::gather(importer, site),
        "TopK" => select::top_k(importer, site),
        "Pad" => creation::pad(importer, site),
        "Expand" => creation::expand(importer, site),
        "Tile" => creation::tile(importer, site),
        "Shape" => creation::shape(importer, site),
        "Size" => creation::size(importer, site),
        "Resize" => resize::resize(importer, site),
        "Upsample" => resize::upsample(importer, site),

        "ReduceMean" => reduce::reduce(importer, site, |keep_dims| Operator::Mean { keep_dims }),
        "ReduceSum" => reduce::reduce(importer, site, |keep_dims| Operator::Sum { keep_dims }),
        "ReduceMax" => {
            reduce::reduce(importer, site, |keep_dims| Operator::ReduceMax { keep_dims })
        }
        "ReduceMin" => {
            reduce::reduce(importer, site, |keep_dims| Operator::ReduceMin { keep_dims })
        }
        "ReduceProd" => {
            reduce::reduce(importer, site, |keep_dims| Operator::ReduceProd { keep_dims })
        }
        "ReduceL1" => reduce::norm(importer, site, reduce::Norm::L1),
        "ReduceL2" => reduce::norm(importer, site, reduce::Norm::L2),
        "ReduceSumSquare" => reduce::norm(importer, site, reduce::Norm::SumSquare),
        "ArgMax" => reduce::arg(importer, site, Operator::ArgMax),
        "ArgMin" => reduce::arg(importer, site, Operator::ArgMin),
        "CumSum" => reduce::cumulative_sum(importer, site),
        _ if mathematics::lower(importer, site)? => Ok(()),
        _ => Err(missing(site)),
    }
}

impl<'a> Importer<'a> {
    /// Lowers the last node of a pattern as the one operator that the pattern is.
    pub fn lower_pattern(&mut self, site: &Site<'a>, pattern: &Pattern<'a>) -> Result<()> {
        let operator = match pattern.kind {
            PatternKind::Gelu => Operator::Gelu { approximate: false },
            PatternKind::HardSwish => Operator::HardSwish,
        };
        activation::unary_of(self, site, pattern.input, operator)
    }
}
