"""Names that mean something else in a model, or in Hugging Face's trainer."""

from __future__ import annotations

OF_MODELS = frozenset(
    """
    CHECKPOINT_HYPER_PARAMS_KEY CHECKPOINT_HYPER_PARAMS_NAME CHECKPOINT_HYPER_PARAMS_TYPE T_destination
    add_module all_gather also_logged apply args automatic_optimization backward bfloat16 body buffers
    call_super_init check_answers children clip_gradients coded compile configure_callbacks
    configure_gradient_clipping configure_model configure_optimizers configure_sharded_model cpu cuda
    current_epoch device device_mesh double dtype dump_patches encode encode_candidates encode_items
    encode_sessions eval evaluations example_input_array extra_repr extract fabric float for_evaluation
    for_prediction forward freeze get_buffer get_extra_state get_parameter get_submodule global_rank
    global_step grow half hidden_states hparams hparams_initial init_arguments input_blocks inputs ipu
    is_sharded item_vocabulary load_from_checkpoint load_state_dict local_rank log log_dict logger loggers
    lr_scheduler_step lr_schedulers manual_backward metric_names modules mtia named_buffers
    named_children named_modules named_parameters never_answered never_of on_after_backward
    on_after_batch_transfer on_before_backward on_before_batch_transfer on_before_optimizer_step
    on_before_zero_grad on_fit_end on_fit_start on_gpu on_load_checkpoint on_predict_batch_end
    on_predict_batch_start on_predict_end on_predict_epoch_end on_predict_epoch_start
    on_predict_model_eval on_predict_start on_save_checkpoint on_test_batch_end on_test_batch_start
    on_test_end on_test_epoch_end on_test_epoch_start on_test_model_eval on_test_model_train
    on_test_start on_train_batch_end on_train_batch_start on_train_end on_train_epoch_end
    on_train_epoch_start on_train_start on_validation_batch_end on_validation_batch_start
    on_validation_end on_validation_epoch_end on_validation_epoch_start on_validation_model_eval
    on_validation_model_train on_validation_model_zero_grad on_validation_start optimizer optimizer_step
    optimizer_zero_grad optimizers output parameters predict predict_dataloader predict_step
    predict_to_parquet prepare_data print raw_ids register_backward_hook register_buffer register_forward_hook
    register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
    register_parameter register_state_dict_post_hook register_state_dict_pre_hook remove_ignored_hparams
    requires_grad_ rerank rerank_to_parquet save save_hyperparameters schema scores seed select
    set_extra_state set_submodule setup share_memory state_dict strict_loading teardown test_dataloader
    test_step to to_empty to_onnx to_tensorrt to_torchscript toggle_optimizer toggled_optimizer topk
    train train_dataloader trainer training_step transfer_batch_to_device type unfreeze
    untoggle_optimizer val_dataloader validation_step vocabularies vocabulary_of xpu zero_grad
    """.split()  # noqa: SIM905
)
"""Public attributes and methods of ``mm.Model``, and those that its constructor sets."""
OF_TRAINERS = frozenset(
    """
    _get_eval_sampler _get_learning_rate _get_train_sampler _inner_training_loop
    _issue_warnings_after_load _load_best_model _load_from_checkpoint _load_optimizer_and_scheduler
    _load_rng_state _maybe_log_save_evaluate _prepare_input _prepare_inputs _remove_unused_columns
    _run_epoch _save _save_checkpoint _wrap_model add_callback autocast_smart_context_manager
    call_model_init compute_loss compute_loss_context_manager create_accelerator_and_postprocess
    create_model_card create_optimizer create_optimizer_and_scheduler create_scheduler end evaluate
    evaluation_loop floating_point_ops get_batch_samples get_cp_size get_decay_parameter_names
    get_eval_dataloader get_learning_rates get_num_trainable_parameters get_optimizer_cls_and_kwargs
    get_optimizer_group get_sp_size get_test_dataloader get_total_train_batch_size get_tp_size
    get_train_dataloader hyperparameter_search init_hf_repo is_local_process_zero is_world_process_zero
    log log_metrics loss_is_scaled_for_ga metrics_format num_examples pop_callback predict
    prediction_step push_to_hub remove_callback save_metrics save_model save_state
    set_initial_training_values store_flos train training_step
    """.split()  # noqa: SIM905
)
"""Methods and attributes of ``transformers.Trainer`` that a subclass may override."""
