import type { Category, ImageClassifier } from "achado";
import { useCamera, useClassifier, useSuspenseClassifier } from "achado/react";
import { Component, type PropsWithChildren, Suspense, useState } from "react";

/** The labels of an answer. */
function Labels({ categories }: { categories: Category[] }) {
  return (
    <ol>
      {categories.map(({ index, categoryName, score }) => (
        <li key={index}>
          {categoryName} {Math.round(100 * score)} %
        </li>
      ))}
    </ol>
  );
}

function Chooser({ classifier }: { classifier: ImageClassifier }) {
  const [categories, setCategories] = useState<Category[]>([]);
  const choose = async (file: File | undefined) => {
    if (!file) return;
    const { classifications } = await classifier.classify(file);
    setCategories(classifications[0]?.categories ?? []);
  };
  return (
    <>
      <input
        type="file"
        accept="image/*"
        aria-label="Picture"
        onChange={(event) => void choose(event.target.files?.[0])}
      />
      <Labels categories={categories} />
    </>
  );
}

/** Waits for the model by Suspense. */
function SuspendedChooser() {
  return <Chooser classifier={useSuspenseClassifier({ maxResults: 3 })} />;
}

function Camera() {
  const [enabled, setEnabled] = useState(false);
  const { status, classifier, progress, error, retry } = useClassifier({ maxResults: 3 });
  const camera = useCamera(classifier, { enabled, maxFps: 8, smoothing: 0.6 });
  if (status === "error") {
    return (
      <p role="alert">
        {error.message} <button onClick={retry}>Try again</button>
      </p>
    );
  }
  if (status === "loading") return <p>Loading {progress?.phase}</p>;
  return (
    <>
      <button onClick={() => setEnabled(!enabled)}>{enabled ? "Stop" : "Start the camera"}</button>
      <video ref={camera.ref} hidden={!enabled} />
      {camera.error && <p role="alert">{camera.error.message}</p>}
      <Labels categories={camera.result?.classifications[0]?.categories ?? []} />
    </>
  );
}

/** Shows what went wrong with the model, and lets one try again. */
class Boundary extends Component<PropsWithChildren, { error?: Error }> {
  override state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <p role="alert">
        {error.message}{" "}
        <button onClick={() => this.setState({ error: undefined! })}>Try again</button>
      </p>
    );
  }
}

export function App() {
  return (
    <main>
      <section id="picture">
        <Boundary>
          <Suspense fallback={<p>Loading</p>}>
            <SuspendedChooser />
          </Suspense>
        </Boundary>
      </section>
      <section id="camera">
        <Camera />
      </section>
    </main>
  );
}
