// What the build knows of the package that the page shows.

declare const ABOUT: {
  readonly version: string;
  readonly license: string;
  /** Modules and core of a first load, without a model. */
  readonly firstLoadGzipBytes: number;
  /** Of the model that comes with the package. */
  readonly modelBytes: number;
};

export const about = ABOUT;
