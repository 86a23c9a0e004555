/** Whether `glass test --full` asked for what takes an hour more: other runs of what the short form has shown already. */
export const IS_FULL = process.env['GLASS_TEST_FULL'] === '1';
