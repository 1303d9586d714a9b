// `achado/model`: the model that `achado/lite` leaves out.
export { defaultModel } from "./default-model.js";
