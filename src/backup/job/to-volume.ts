import { main, runJob } from './run.ts';
import { volumeStore } from './volume.ts';

await main((config) => runJob(config, volumeStore()));
