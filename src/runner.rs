//! What runs models in this wasm file: the engine, or, in `tract.wasm`, tract. The two have the same
//! exports.

use achado_model::Result;
use achado_vision::{Classifier, ClassifierOptions, ImageModel, ImageModelOptions};

#[cfg(not(feature = "tract"))]
pub use achado_engine::Session as Network;
#[cfg(feature = "tract")]
pub use achado_tract::Plan as Network;

/// Opens a model for a classifier.
pub fn classifier(file: Vec<u8>, options: ClassifierOptions) -> Result<Classifier<Network>> {
    #[cfg(not(feature = "tract"))]
    return Classifier::new(file, options);
    #[cfg(feature = "tract")]
    return achado_tract::classifier(file, options);
}

/// Opens a model for tensors.
pub fn model(file: Vec<u8>, options: &ImageModelOptions) -> Result<ImageModel<Network>> {
    #[cfg(not(feature = "tract"))]
    return ImageModel::new(file, options);
    #[cfg(feature = "tract")]
    return achado_tract::model(file, options);
}
