import { DOCKER_SABOTAGES } from './inspect_sabotage_docker.ts';
import { describeSabotages } from './inspect_sabotage_kit.ts';

await describeSabotages('docker', DOCKER_SABOTAGES);
