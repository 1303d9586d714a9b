// The page's words in both languages, and which of them is shown.

export type Language = "en" | "pt";

const en = {
  title: "achado: what does this picture show?",
  description: "Names what a picture shows, inside the browser. Pictures never leave this device.",
  skip: "Skip to the picture",
  heading: "What does this picture show?",
  promise: "Your browser works it out by itself. Pictures never leave this device.",
  pictureHeading: "Picture",
  drop: "Drop a picture here, paste one, or choose one below.",
  previewAlt: "The picture that was chosen",
  cameraAlt: "What the camera sees",
  choose: "Choose a picture",
  camera: "Use the camera",
  cameraStop: "Stop the camera",
  cameraOpening: "Waiting for the camera …",
  resultsHeading: "What it looks like",
  hint: "The five most likely answers will stand here.",
  nothing: "No category has a score that is high enough.",
  classNumber: "class {index}",
  looksLike: "Most likely {name}, {score}.",
  phaseWasm: "Fetching the program and the model …",
  phaseModel: "Fetching the model: {loaded} of {total} MB",
  phaseModelUnknown: "Fetching the model: {loaded} MB",
  phaseConvert: "Converting the ONNX model …",
  phaseCompile: "Preparing the model …",
  phaseWarmup: "Warming up …",
  ready: "Ready.",
  working: "Looking …",
  timingsHeading: "Time of each step",
  preprocess: "Picture to numbers",
  inference: "Network",
  postprocess: "Numbers to names",
  total: "Altogether",
  insideHeading: "Inside",
  runtimeHeading: "What runs",
  runtimeNone: "Nothing yet.",
  model: "Model",
  modelUnnamed: "without a name",
  input: "Input",
  build: "Build",
  threads: "Threads",
  thread: "Runs in",
  inWorker: "a worker",
  inPage: "the page itself",
  memory: "Memory",
  ownHeading: "Your own model",
  ownText:
    "A classifier for TensorFlow Lite (.tflite) or ONNX (.onnx, with ImageNet's mean and deviation), and its names if they are not inside it: a text file with one name a line. Both stay on this device.",
  modelFile: "Model (.tflite, .onnx)",
  labelsFile: "Names (.txt, optional)",
  useModel: "Use this model",
  useDefault: "Back to the model of this page",
  footer:
    "The names come from the model, in the language it was made in. Scores are guesses: look yourself.",
  benchTitle: "achado: how fast is this browser?",
  benchDescription:
    "Measures how fast achado classifies pictures in this browser. Nothing leaves this device.",
  benchSkip: "Skip to the measurement",
  benchHeading: "How fast is this browser?",
  benchPromise: "Measures achado on this device. Nothing is sent: the results are yours.",
  benchModels: "Models",
  benchAdd: "Add models (.tflite), such as the same network in float",
  benchStart: "Measure",
  benchWorking: "Measuring {model}: {percent}",
  benchDone: "Done.",
  benchFailed: "It could not be measured: {error}",
  benchResults: "Results",
  benchNetwork: "Network, ms",
  benchWhole: "Picture to names, ms",
  benchSpeedUp: "Times float",
  benchFloat: "float",
  benchInt8: "int8",
  benchThreads: "threads: {threads}",
  bench_notIsolated:
    "Threads are not available: the server of this page does not send the COOP and COEP headers.",
  bench_oneCore: "Threads are of no use: this device has one core.",
  benchCaption: "Milliseconds of the network for one picture: shorter is faster.",
  benchDownload: "Download as JSON",
  benchFooter:
    "Medians of rounds in which the rows take turns. Other programs and a warm device make them slower.",
  benchBack: "Name a picture",
  benchLink: "How fast is this browser?",
  details: "Details",
  notPicture: "This file is not a picture that your browser can show.",
  MODEL_FETCH:
    "The model could not be loaded. It should lie beside this page, in achado/models. Reload the page to try again, or choose a model of your own below.",
  MODEL_FETCH_STATUS:
    "The model is missing: the server answers {status}. It should lie beside this page, in achado/models. You can choose a model of your own below.",
  MODEL_INTEGRITY: "The model is not the file that was expected.",
  MODEL_FORMAT: "This file is not a TensorFlow Lite model that can be read.",
  MODEL_ONNX:
    "This is an ONNX model that cannot be read: it is cut off, or keeps its weights in another file.",
  UNSUPPORTED_OPERATOR: "This model uses an operation that achado cannot compute yet.",
  UNSUPPORTED_TYPE: "This model is not a classifier of pictures that achado can run.",
  INTERNAL: "Something broke inside achado. Please report it with the details below.",
  INVALID_OPTION: "The names or settings do not fit this model.",
  INVALID_INPUT: "This picture cannot be used.",
  INPUT_NOT_READY: "There is no picture yet. Try again in a moment.",
  TAINTED_CANVAS: "The picture comes from another site that does not allow reading it.",
  METADATA_MISSING: "This model does not say how pictures have to be prepared for it.",
  CLOSED: "The model was closed.",
  BACKEND_UNAVAILABLE:
    "The program file could not be loaded. It should lie beside this page, in achado/dist. Reload the page to try again.",
  CAMERA_DENIED: "The camera could not be used.",
  CAMERA_NotAllowedError:
    "The camera was not allowed. You can change that in the browser's settings for this page.",
  CAMERA_NotFoundError: "There is no camera on this device.",
  CAMERA_insecure: "Browsers give the camera only to pages on https.",
  WASM_UNSUPPORTED:
    "This browser is too old: it has no WebAssembly SIMD. Chrome or Edge 94, Firefox 114, Safari 16.4 or later have it.",
  WASM_MIME: "The server sends something else in place of the program file.",
  CSP_BLOCKED: "The security policy of this page forbids WebAssembly.",
  OUT_OF_MEMORY: "There is not enough memory for this picture or model.",
};

/** A text of the page, by name. */
export type TextKey = keyof typeof en;

const pt: Record<TextKey, string> = {
  title: "achado: o que mostra esta imagem?",
  description: "Diz o que uma imagem mostra, no navegador. As imagens nunca saem deste aparelho.",
  skip: "Ir para a imagem",
  heading: "O que mostra esta imagem?",
  promise: "O seu navegador descobre sozinho. As imagens nunca saem deste aparelho.",
  pictureHeading: "Imagem",
  drop: "Solte uma imagem aqui, cole uma, ou escolha abaixo.",
  previewAlt: "A imagem escolhida",
  cameraAlt: "O que a câmera vê",
  choose: "Escolher imagem",
  camera: "Usar a câmera",
  cameraStop: "Parar a câmera",
  cameraOpening: "À espera da câmera …",
  resultsHeading: "O que parece ser",
  hint: "As cinco respostas mais prováveis ficarão aqui.",
  nothing: "Nenhuma categoria tem pontuação suficiente.",
  classNumber: "classe {index}",
  looksLike: "Mais provável: {name}, {score}.",
  phaseWasm: "Baixando o programa e o modelo …",
  phaseModel: "Baixando o modelo: {loaded} de {total} MB",
  phaseModelUnknown: "Baixando o modelo: {loaded} MB",
  phaseConvert: "Convertendo o modelo ONNX …",
  phaseCompile: "Preparando o modelo …",
  phaseWarmup: "Aquecendo …",
  ready: "Pronto.",
  working: "Olhando …",
  timingsHeading: "Tempo de cada etapa",
  preprocess: "Da imagem a números",
  inference: "Rede",
  postprocess: "De números a nomes",
  total: "Ao todo",
  insideHeading: "Por dentro",
  runtimeHeading: "O que está rodando",
  runtimeNone: "Nada ainda.",
  model: "Modelo",
  modelUnnamed: "sem nome",
  input: "Entrada",
  build: "Versão",
  threads: "Threads",
  thread: "Roda em",
  inWorker: "um worker",
  inPage: "na própria página",
  memory: "Memória",
  ownHeading: "O seu próprio modelo",
  ownText:
    "Um classificador do TensorFlow Lite (.tflite) ou ONNX (.onnx, com a média e o desvio do ImageNet) e, se não estiverem dentro dele, os nomes: um arquivo de texto com um nome por linha. Ambos ficam neste aparelho.",
  modelFile: "Modelo (.tflite, .onnx)",
  labelsFile: "Nomes (.txt, opcional)",
  useModel: "Usar este modelo",
  useDefault: "Voltar ao modelo da página",
  footer:
    "Os nomes vêm do modelo, na língua em que ele foi feito. As pontuações são palpites: confira com os próprios olhos.",
  benchTitle: "achado: qual é a velocidade deste navegador?",
  benchDescription:
    "Mede a velocidade com que o achado classifica imagens neste navegador. Nada sai deste aparelho.",
  benchSkip: "Ir para a medição",
  benchHeading: "Qual é a velocidade deste navegador?",
  benchPromise: "Mede o achado neste aparelho. Nada é enviado: os resultados são seus.",
  benchModels: "Modelos",
  benchAdd: "Acrescentar modelos (.tflite), como a mesma rede em float",
  benchStart: "Medir",
  benchWorking: "Medindo {model}: {percent}",
  benchDone: "Pronto.",
  benchFailed: "Não foi possível medir: {error}",
  benchResults: "Resultados",
  benchNetwork: "Rede, ms",
  benchWhole: "Da imagem aos nomes, ms",
  benchSpeedUp: "Vezes float",
  benchFloat: "float",
  benchInt8: "int8",
  benchThreads: "threads: {threads}",
  bench_notIsolated:
    "Threads não disponíveis: o servidor desta página não envia os cabeçalhos COOP e COEP.",
  bench_oneCore: "Threads não ajudam: este aparelho tem um só núcleo.",
  benchCaption: "Milissegundos da rede por imagem: mais curto é mais rápido.",
  benchDownload: "Baixar como JSON",
  benchFooter:
    "Medianas de rodadas em que as linhas se revezam. Outros programas e um aparelho quente as tornam mais lentas.",
  benchBack: "Nomear uma imagem",
  benchLink: "Qual é a velocidade deste navegador?",
  details: "Detalhes",
  notPicture: "Este arquivo não é uma imagem que o navegador saiba mostrar.",
  MODEL_FETCH:
    "Não foi possível carregar o modelo. Ele deve estar ao lado desta página, em achado/models. Recarregue a página para tentar de novo, ou escolha um modelo seu abaixo.",
  MODEL_FETCH_STATUS:
    "Falta o modelo: o servidor responde {status}. Ele deve estar ao lado desta página, em achado/models. Você pode escolher um modelo seu abaixo.",
  MODEL_INTEGRITY: "O modelo não é o arquivo esperado.",
  MODEL_FORMAT: "Este arquivo não é um modelo do TensorFlow Lite que se possa ler.",
  MODEL_ONNX:
    "Este é um modelo ONNX que não pode ser lido: está incompleto, ou guarda os pesos em outro arquivo.",
  UNSUPPORTED_OPERATOR: "Este modelo usa uma operação que o achado ainda não sabe calcular.",
  UNSUPPORTED_TYPE: "Este modelo não é um classificador de imagens que o achado possa rodar.",
  INTERNAL: "Algo quebrou dentro do achado. Por favor, relate com os detalhes abaixo.",
  INVALID_OPTION: "Os nomes ou as opções não combinam com este modelo.",
  INVALID_INPUT: "Esta imagem não pode ser usada.",
  INPUT_NOT_READY: "Ainda não há imagem. Tente de novo daqui a pouco.",
  TAINTED_CANVAS: "A imagem vem de outro site, que não permite a leitura.",
  METADATA_MISSING: "Este modelo não diz como as imagens devem ser preparadas.",
  CLOSED: "O modelo foi fechado.",
  BACKEND_UNAVAILABLE:
    "Não foi possível carregar o programa. Ele deve estar ao lado desta página, em achado/dist. Recarregue a página para tentar de novo.",
  CAMERA_DENIED: "Não foi possível usar a câmera.",
  CAMERA_NotAllowedError:
    "A câmera não foi permitida. Isso pode ser mudado nas configurações do navegador para esta página.",
  CAMERA_NotFoundError: "Não há câmera neste aparelho.",
  CAMERA_insecure: "Os navegadores só dão a câmera a páginas em https.",
  WASM_UNSUPPORTED:
    "Este navegador é antigo demais: não tem WebAssembly SIMD. Chrome ou Edge 94, Firefox 114, Safari 16.4 ou mais novos têm.",
  WASM_MIME: "O servidor envia outra coisa no lugar do programa.",
  CSP_BLOCKED: "A política de segurança desta página proíbe WebAssembly.",
  OUT_OF_MEMORY: "Não há memória suficiente para esta imagem ou modelo.",
};

const TEXTS: Record<Language, Record<TextKey, string>> = { en, pt };
const STORED = "achado-language";

let current: Language = initial();

/** What `?lang=` says, else what was chosen before, else the browser's first language we have. */
function initial(): Language {
  const asked = new URLSearchParams(location.search).get("lang");
  const wanted = [asked, stored(), ...navigator.languages].map((tag) => tag?.slice(0, 2));
  return wanted.find((tag) => tag === "en" || tag === "pt") ?? "en";
}

function stored(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    // Some browsers forbid storage to pages in frames or without cookies.
    return null;
  }
}

/** The language that is shown. */
export function language(): Language {
  return current;
}

/** A text in the language that is shown, with `{name}` filled in. */
export function text(key: TextKey, values: Record<string, string | number> = {}): string {
  return TEXTS[current][key].replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** A number as the language writes it. */
export function format(value: number, digits: number, unit?: "percent"): string {
  return new Intl.NumberFormat(current === "pt" ? "pt-BR" : "en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    ...(unit && { style: unit }),
  }).format(value);
}

/** Changes the language, and remembers it. */
export function choose(next: Language): void {
  current = next;
  try {
    localStorage.setItem(STORED, next);
  } catch {
    // It is then asked again next time.
  }
}

/** Puts the texts into the elements that name them. */
export function applyTexts(): void {
  document.documentElement.lang = current === "pt" ? "pt-BR" : "en";
  for (const element of document.querySelectorAll<HTMLElement>("[data-text]")) {
    element.textContent = text(element.dataset.text as TextKey);
  }
  for (const element of document.querySelectorAll<HTMLElement>("[data-text-alt]")) {
    element.setAttribute("alt", text(element.dataset.textAlt as TextKey));
  }
  for (const element of document.querySelectorAll<HTMLElement>("[data-text-content]")) {
    element.setAttribute("content", text(element.dataset.textContent as TextKey));
  }
  for (const button of document.querySelectorAll<HTMLElement>("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === current));
  }
}
