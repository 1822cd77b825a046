// What bundle.mjs makes of imports that are not sources: their text.

declare module '*.yaml' {
  const text: string;
  export default text;
}

declare module '*.sh' {
  const text: string;
  export default text;
}

/** A program for a pod, bundled: `import program from '../programs/gate/main.ts?program'`. */
declare module '*?program' {
  const text: string;
  export default text;
}

/** What helm makes of a chart's values, or nothing: `import chart from './cilium-1.20.2.values.yaml?chart'`. */
declare module '*?chart' {
  const text: string;
  export default text;
}
