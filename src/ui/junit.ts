interface JunitCase {
  name: string;
  seconds: number;
  failure?: string;
  skipped?: string;
}

/** A report as CI systems read it (https://github.com/testmoapp/junitxml). Pure. */
export function junit(suite: string, cases: JunitCase[]): string {
  const count = (key: 'failure' | 'skipped') => cases.filter((each) => each[key] !== undefined).length;
  const time = cases.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(1);
  const lines = cases.map(({ name, seconds, failure, skipped }) => {
    const open = `  <testcase name="${escaped(name)}" classname="${escaped(suite)}" time="${seconds.toFixed(1)}"`;
    if (failure !== undefined) return `${open}><failure message="${escaped(failure)}"/></testcase>`;
    if (skipped !== undefined) return `${open}><skipped message="${escaped(skipped)}"/></testcase>`;
    return `${open}/>`;
  });
  const head = `<testsuite name="${escaped(suite)}" tests="${cases.length}" failures="${count('failure')}" skipped="${count('skipped')}" time="${time}">`;
  return ['<?xml version="1.0" encoding="UTF-8"?>', head, ...lines, '</testsuite>', ''].join('\n');
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\n': '&#10;' };

/** What no XML 1.0 can say is left out. */
function escaped(text: string): string {
  const sayable = [...text].filter((each) => each >= ' ' || each === '\n').join('');
  return sayable.replace(/[&<>"\n]/g, (each) => entities[each]!);
}
